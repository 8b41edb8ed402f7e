// Package figure has one file for each thing that is measured.
package figure
