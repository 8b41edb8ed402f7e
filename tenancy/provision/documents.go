// Documents: the directories, the owner's contact and the settings of a new instance.

package provision

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"golang.org/x/text/language"
)

// Spec is what the first documents of an instance depend on.
type Spec struct {
	ID     string // of the instance's document; ids of documents derive from it
	Domain string // in the document's form, with its port
	Prefix string
	Locale string
	Time   time.Time

	Email, PublicName, Phone, Timezone string
	Settings                           map[string]string // further ones

	Bare  bool           // without the directories for photos and the like
	Vault map[string]any // the document of the vault's settings; nil for an instance without a passphrase
}

// Ids of documents that are the same in every instance.
const (
	RootID     = "io.cozy.files.root-dir"
	TrashID    = "io.cozy.files.trash-dir"
	SettingsID = "io.cozy.settings.instance"
)

// DocID is the id of a document that add makes: 32 hexadecimal digits, like
// CouchDB's own, the same each time for one instance and name.
func DocID(instance, name string) string {
	sum := sha256.Sum256([]byte(instance + "\x00" + name))
	return hex.EncodeToString(sum[:16])
}

//go:embed locales/*.json
var localeFiles embed.FS

// names are the localized names of the first directories.
type names struct {
	Administrative string `json:"administrative"`
	Photos         string `json:"photos"`
	Uploaded       string `json:"uploaded"`
	BackedUp       string `json:"backed_up"`
}

// Locales have names of their own; others get the English ones.
var Locales = []language.Tag{
	language.English, language.French, language.Spanish, language.German, language.Dutch, language.Japanese,
}

var (
	matcher   = language.NewMatcher(Locales)
	localized = loadNames()
)

func loadNames() []names {
	out := make([]names, len(Locales))
	for i, tag := range Locales {
		raw, err := localeFiles.ReadFile("locales/" + tag.String() + ".json")
		if err == nil {
			err = json.Unmarshal(raw, &out[i])
		}
		if err != nil {
			panic(fmt.Sprintf("provision: locale %s: %v", tag, err)) // a file of this package
		}
	}
	return out
}

func namesFor(locale string) names {
	tag, err := language.Parse(locale)
	if err != nil {
		return localized[0]
	}
	_, i, confidence := matcher.Match(tag)
	if confidence == language.No {
		i = 0
	}
	return localized[i]
}

type reference struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type metadata struct {
	DoctypeVersion  string `json:"doctypeVersion"`
	MetadataVersion int    `json:"metadataVersion"`
	CreatedAt       string `json:"createdAt"`
	UpdatedAt       string `json:"updatedAt"`
	CreatedOn       string `json:"createdOn"`
}

type directory struct {
	ID           string      `json:"_id"`
	Type         string      `json:"type"`
	Name         string      `json:"name,omitempty"`
	DirID        string      `json:"dir_id,omitempty"`
	CreatedAt    string      `json:"created_at"`
	UpdatedAt    string      `json:"updated_at"`
	Path         string      `json:"path"`
	ReferencedBy []reference `json:"referenced_by,omitempty"`
	Metadata     *metadata   `json:"cozyMetadata,omitempty"`
}

// Paths are those of the directories of a new instance, but for its root, each
// after the one that it is in.
func Paths(spec Spec) []string {
	var out []string
	for _, d := range directories(spec)[1:] {
		out = append(out, d.Path)
	}
	return out
}

func directories(spec Spec) []directory {
	at := spec.Time.UTC().Format(time.RFC3339Nano)
	n := namesFor(spec.Locale)
	meta := &metadata{
		DoctypeVersion: "1", MetadataVersion: 1, CreatedAt: at, UpdatedAt: at,
		CreatedOn: "https://" + spec.Domain + "/",
	}
	dir := func(id, parent, name, path string) directory {
		return directory{
			ID: id, Type: "directory", Name: name, DirID: parent,
			CreatedAt: at, UpdatedAt: at, Path: path, Metadata: meta,
		}
	}
	root := directory{ID: RootID, Type: "directory", CreatedAt: at, UpdatedAt: at, Path: "/"}
	trash := dir(TrashID, RootID, ".cozy_trash", "/.cozy_trash")
	trash.Metadata = nil
	if spec.Bare {
		return []directory{root, trash}
	}
	admin := dir(DocID(spec.ID, "administrative"), RootID, n.Administrative, "/"+n.Administrative)
	admin.ReferencedBy = []reference{{ID: "io.cozy.apps/administrative", Type: "io.cozy.apps"}}
	photos := dir(DocID(spec.ID, "photos"), RootID, n.Photos, "/"+n.Photos)
	uploaded := dir(DocID(spec.ID, "uploaded"), photos.ID, n.Uploaded, photos.Path+"/"+n.Uploaded)
	backedUp := dir(DocID(spec.ID, "backed-up"), photos.ID, n.BackedUp, photos.Path+"/"+n.BackedUp)
	return []directory{root, trash, admin, photos, uploaded, backedUp}
}

// contact is the owner's own entry in the address book.
func contact(spec Spec) map[string]any {
	url := "https://" + spec.Domain
	doc := map[string]any{
		"_id":  DocID(spec.ID, "me"),
		"me":   true,
		"cozy": []any{map[string]any{"url": url, "primary": true}},
	}
	key := url
	if spec.PublicName != "" {
		doc["fullname"], doc["displayName"] = spec.PublicName, spec.PublicName
	}
	if spec.Email != "" {
		doc["email"] = []any{map[string]any{"address": spec.Email, "primary": true}}
		key = spec.Email
	}
	doc["indexes"] = map[string]any{"byFamilyNameGivenNameEmailCozyUrl": key}
	if spec.Phone != "" {
		doc["phone"] = []any{map[string]any{"number": spec.Phone, "primary": true}}
	}
	return doc
}

// settings are what the owner is called and how they are reached.
func settings(spec Spec) map[string]any {
	doc := map[string]any{"_id": SettingsID}
	for key, value := range maps.All(spec.Settings) {
		doc[key] = value
	}
	for key, value := range map[string]string{
		"tz": spec.Timezone, "email": spec.Email, "public_name": spec.PublicName, "phone": spec.Phone,
	} {
		if value != "" {
			doc[key] = value
		}
	}
	return doc
}
