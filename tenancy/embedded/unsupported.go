// Unsupported: the rest of kivik's driver interfaces, each with an error of
// status 501 that names what is missing.

package embedded

import (
	"context"

	"github.com/go-kivik/kivik/v4/driver"
)

func (d *db) PutAttachment(context.Context, string, *driver.Attachment, driver.Options) (string, error) {
	return "", unsupported("attachments")
}

func (d *db) GetAttachment(context.Context, string, string, driver.Options) (*driver.Attachment, error) {
	return nil, unsupported("attachments")
}

func (d *db) GetAttachmentMeta(context.Context, string, string, driver.Options) (*driver.Attachment, error) {
	return nil, unsupported("attachments")
}

func (d *db) DeleteAttachment(context.Context, string, string, driver.Options) (string, error) {
	return "", unsupported("attachments")
}

// Find and Explain would need a Mango engine.
func (d *db) Find(context.Context, any, driver.Options) (driver.Rows, error) {
	return nil, unsupported("Mango queries (_find): it keeps indexes, and does not run them")
}

func (d *db) Explain(context.Context, any, driver.Options) (*driver.QueryPlan, error) {
	return nil, unsupported("Mango queries (_explain): it keeps indexes, and does not run them")
}

func (d *db) OpenRevs(context.Context, string, []string, driver.Options) (driver.Rows, error) {
	return nil, unsupported("open_revs")
}

func (d *db) RevsDiff(context.Context, any) (driver.Rows, error) {
	return nil, unsupported("_revs_diff")
}

func (d *db) BulkGet(context.Context, []driver.BulkGetReference, driver.Options) (driver.Rows, error) {
	return nil, unsupported("_bulk_get: ask _all_docs with keys")
}

func (d *db) Purge(context.Context, map[string][]string) (*driver.PurgeResult, error) {
	return nil, unsupported("_purge")
}

func (d *db) Update(context.Context, string, string, string, any, driver.Options) (string, error) {
	return "", unsupported("update functions")
}

func (d *db) PartitionStats(context.Context, string) (*driver.PartitionStats, error) {
	return nil, unsupported("partitioned databases")
}

func (d *db) Search(context.Context, string, string, string, map[string]any) (driver.Rows, error) {
	return nil, unsupported("full-text search")
}

func (d *db) SearchInfo(context.Context, string, string) (*driver.SearchInfo, error) {
	return nil, unsupported("full-text search")
}

func (d *db) SearchAnalyze(context.Context, string) ([]string, error) {
	return nil, unsupported("full-text search")
}

func (c *client) DBUpdates(context.Context, driver.Options) (driver.DBUpdates, error) {
	return nil, unsupported("_db_updates")
}

func (c *client) Replicate(context.Context, string, string, driver.Options) (driver.Replication, error) {
	return nil, unsupported("replication")
}

func (c *client) GetReplications(context.Context, driver.Options) ([]driver.Replication, error) {
	return nil, unsupported("replication")
}

func (c *client) ClusterStatus(context.Context, driver.Options) (string, error) {
	return "", unsupported("clusters")
}

func (c *client) ClusterSetup(context.Context, any) error { return unsupported("clusters") }

func (c *client) Membership(context.Context) (*driver.ClusterMembership, error) {
	return nil, unsupported("clusters")
}

func (c *client) Session(context.Context) (*driver.Session, error) {
	return nil, unsupported("sessions: whoever can read the file has all of it")
}

func (c *client) Config(context.Context, string) (driver.Config, error) {
	return nil, unsupported("the server's configuration")
}

func (c *client) ConfigSection(context.Context, string, string) (driver.ConfigSection, error) {
	return nil, unsupported("the server's configuration")
}

func (c *client) ConfigValue(context.Context, string, string, string) (string, error) {
	return "", unsupported("the server's configuration")
}

func (c *client) SetConfigValue(context.Context, string, string, string, string) (string, error) {
	return "", unsupported("the server's configuration")
}

func (c *client) DeleteConfigKey(context.Context, string, string, string) (string, error) {
	return "", unsupported("the server's configuration")
}

// Interface guards.
var (
	_ driver.AttachmentMetaGetter = (*db)(nil)
	_ driver.OpenRever            = (*db)(nil)
	_ driver.RevsDiffer           = (*db)(nil)
	_ driver.BulkGetter           = (*db)(nil)
	_ driver.Purger               = (*db)(nil)
	_ driver.Updater              = (*db)(nil)
	_ driver.PartitionedDB        = (*db)(nil)
	_ driver.Searcher             = (*db)(nil)
	_ driver.DBUpdater            = (*client)(nil)
	_ driver.ClientReplicator     = (*client)(nil)
	_ driver.Cluster              = (*client)(nil)
	_ driver.Sessioner            = (*client)(nil)
	_ driver.Configer             = (*client)(nil)
)
