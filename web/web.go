// Package web holds the dashboard: its source in TypeScript and Svelte, and
// its build, which npm makes and the program carries.
package web

import (
	"embed"
	"errors"
	"io/fs"
)

// dist holds placeholder.html always, and in app/ what `npm run build` made,
// if it was run before the program was built.
//
//go:embed dist
var distFS embed.FS

// Dashboard is what this program serves at /.
type Dashboard struct {
	Files fs.FS
	// Index is the page's name in Files: index.html with assets/ beside it, or,
	// without a build, a page that says how to make one.
	Index string
}

// New gives the dashboard that this program carries.
func New() (Dashboard, error) { return choose(distFS) }

func choose(files fs.FS) (Dashboard, error) {
	dist, err := fs.Sub(files, "dist")
	if err != nil {
		return Dashboard{}, err
	}
	switch _, err := fs.Stat(dist, "app/index.html"); {
	case errors.Is(err, fs.ErrNotExist):
		return Dashboard{Files: dist, Index: "placeholder.html"}, nil
	case err != nil:
		return Dashboard{}, err
	}
	app, err := fs.Sub(dist, "app")
	return Dashboard{Files: app, Index: "index.html"}, err
}
