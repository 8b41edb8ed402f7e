// Package access holds the tokens of the instances API: who may read, who may
// block, and who may do everything. Of a token only a digest is stored.
package access
