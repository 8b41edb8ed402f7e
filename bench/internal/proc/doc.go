// Package proc runs the programs that are measured, and reads what they have used.
package proc
