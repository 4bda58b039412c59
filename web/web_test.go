package web

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestWithoutABuildThePageSaysHowToMakeOne(t *testing.T) {
	t.Parallel()
	page, err := fs.ReadFile(distFS, "dist/placeholder.html")
	if err != nil {
		t.Fatal(err)
	}
	d, err := choose(fstest.MapFS{"dist/placeholder.html": {Data: page}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(d.Files, d.Index)
	if err != nil || !strings.Contains(string(got), "make build") || !strings.Contains(string(got), `href="/status"`) {
		t.Errorf("%v: %s", err, got)
	}
}

func TestTheBuildIsServedWhereThereIsOne(t *testing.T) {
	t.Parallel()
	d, err := choose(fstest.MapFS{
		"dist/placeholder.html": {Data: []byte("none")}, "dist/app/index.html": {Data: []byte("app")}, "dist/app/assets/a.js": {Data: []byte("1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(d.Files, d.Index); err != nil || string(got) != "app" {
		t.Errorf("%v: %s", err, got)
	}
	if _, err := fs.Stat(d.Files, "assets/a.js"); err != nil {
		t.Error(err)
	}
}
