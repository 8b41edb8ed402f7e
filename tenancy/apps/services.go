// Services: the jobs of an app, and the triggers that start them.

package apps

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/gatehouse-edge/gatehouse/tenancy/provision"
)

const (
	maxServices = 100
	maxTrigger  = 2000 // bytes
)

// trigger is the document that makes a stack run a service. A stack makes one
// only when it installs an app, or an update changes the service: so an app that
// is installed from outside has to bring its own.
type trigger struct {
	ID        string   `json:"_id"`
	Domain    string   `json:"domain"`
	Prefix    string   `json:"prefix"`
	Type      string   `json:"type"`
	Worker    string   `json:"worker"`
	Arguments string   `json:"arguments"`
	Debounce  string   `json:"debounce"`
	Options   any      `json:"options"`
	Message   message  `json:"message"`
	Metadata  metadata `json:"cozyMetadata"`
}

type message struct {
	Name string `json:"name"`
	Slug string `json:"slug"`
}

// services completes the services of the app's document, and makes a trigger for
// each that has one.
func (d *describer) services() (triggers []Document, err error) {
	if d.absent("services") {
		return nil, nil
	}
	var services map[string]json.RawMessage
	if err := json.Unmarshal(d.fields["services"], &services); err != nil || len(services) > maxServices {
		return nil, malformed("its services")
	}
	for _, name := range sortedKeys(services) {
		raw, err := complete(services[name], map[string]any{"type": "", "file": "", "debounce": "", "trigger": "", "trigger_id": ""})
		if err != nil {
			return nil, malformed("one of its services")
		}
		var s struct {
			Trigger  string `json:"trigger"`
			Debounce string `json:"debounce"`
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &s) != nil || json.Unmarshal(raw, &fields) != nil {
			return nil, malformed("one of its services")
		}
		id := ""
		if s.Trigger != "" {
			t, err := d.trigger(name, s.Trigger, s.Debounce)
			if err != nil {
				return nil, err
			}
			id = t.ID
			triggers = append(triggers, Document{Doctype: triggersDoctype, ID: id, Body: mustJSON(t)})
		}
		fields["trigger_id"] = mustJSON(id)
		services[name] = mustJSON(fields)
	}
	d.set("services", services)
	return triggers, nil
}

func (d *describer) trigger(service, definition, debounce string) (*trigger, error) {
	kind, arguments, _ := strings.Cut(definition, " ")
	arguments = strings.TrimSpace(arguments)
	check := triggerTypes[kind]
	if check == nil || len(definition) > maxTrigger || !check(arguments) {
		return nil, malformed("its service %.100q has a trigger that is none", service)
	}
	t := &trigger{
		ID:     provision.DocID(d.target.InstanceID, "triggers/"+d.r.Slug+"/"+service),
		Domain: d.target.Instance.Domain, Prefix: d.target.Instance.Prefix,
		Type: kind, Worker: "service", Arguments: arguments, Debounce: debounce,
		Message: message{Name: service, Slug: d.r.Slug}, Metadata: d.metadata(""),
	}
	if kind == "@client" {
		t.Worker = "client"
	}
	return t, nil
}

var (
	cronField  = regexp.MustCompile(`^[0-9A-Za-z*/,?-]+$`)
	eventScope = regexp.MustCompile(`^[0-9A-Za-z_-]+(\.[0-9A-Za-z_*-]+)+(:[^ ]*)?$`)
)

// triggerTypes are the types of triggers, each with a check of its arguments. A
// stack reads all triggers when it starts, and one that it cannot read must not be
// among them.
var triggerTypes = map[string]func(arguments string) bool{
	"@client":  anything,
	"@daily":   anything,
	"@hourly":  anything,
	"@monthly": anything,
	"@webhook": anything,
	"@weekly":  anything,
	"@at": func(s string) bool {
		_, err := time.Parse(time.RFC3339, s)
		return err == nil
	},
	"@cron": func(s string) bool {
		fields := strings.Fields(s)
		return (len(fields) == 5 || len(fields) == 6) && all(fields, cronField)
	},
	"@event": func(s string) bool {
		scopes := strings.Fields(s)
		return len(scopes) > 0 && all(scopes, eventScope)
	},
	"@every": isDuration,
	"@in":    isDuration,
}

func anything(string) bool { return true }

func isDuration(s string) bool {
	d, err := time.ParseDuration(s)
	return err == nil && d > 0
}

func all(parts []string, pattern *regexp.Regexp) bool {
	for _, part := range parts {
		if !pattern.MatchString(part) {
			return false
		}
	}
	return true
}
