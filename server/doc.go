// Package server is the HTTP side of dynotap: the API that /openapi.json
// describes, the live stream, metrics, and a plain status page.
//
// It decides nothing about sources, queue or runs: it asks through narrow
// interfaces. What it does itself is to let nobody in who should not be:
// see guard.go.
package server
