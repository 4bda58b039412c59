// Package architecture holds the picture of docs/architecture.md true: who may
// import whom, that every package says what it is for, and that files and
// functions stay readable.
package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "dynotap"

// rooms is the order of the picture: a room imports only rooms further down,
// and within a room whatever its own folders need.
var rooms = []string{
	"cmd", "app", "server", "web", "doctor", "inbox", "pipeline", "forward", "run", "store", "queue",
	"internal/db", "format", "source", "sim", "config", "validate", "channel", "sample",
}

// leaves import nothing of ours and may be imported by every room.
var leaves = []string{"internal/clock", "internal/durable", "internal/startstop"}

type source struct {
	path string // relative to the module, slashes
	dir  string
	file *ast.File
	set  *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func TestRoomsImportOnlyRoomsBelow(t *testing.T) {
	for _, src := range parse(t) {
		if src.test() {
			continue // a test may look at anything
		}
		from, isLeaf := roomOf(t, src.dir)
		for _, spec := range src.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil || !strings.HasPrefix(path, module+"/") {
				continue
			}
			to, toLeaf := roomOf(t, strings.TrimPrefix(path, module+"/"))
			switch {
			case isLeaf:
				t.Errorf("%s imports %s: this package imports nothing of ours", src.path, path)
			case toLeaf || from == to:
			case slices.Index(rooms, to) < slices.Index(rooms, from):
				t.Errorf("%s imports %s: room %s lies above %s", src.path, path, to, from)
			}
		}
	}
}

func TestCodecsImportOnlySample(t *testing.T) {
	for _, src := range parse(t) {
		if src.dir != "source/jetdrive/klhdv" && src.dir != "source/innovate/isp" || src.test() {
			continue
		}
		for _, spec := range src.file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value)
			if strings.HasPrefix(path, module+"/") && path != module+"/sample" {
				t.Errorf("%s imports %s: a codec imports only sample", src.path, path)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, src := range parse(t) {
		if src.test() && !onlyTests(t, src.dir) {
			continue
		}
		documented[src.dir] = documented[src.dir] || src.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestNoInitAndNoLongFiles(t *testing.T) {
	for _, src := range parse(t) {
		lines := src.set.File(src.file.Pos()).LineCount()
		if lines > 500 {
			t.Errorf("%s has %d lines: split it by idea", src.path, lines)
		}
		for _, decl := range src.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || src.test() {
				continue
			}
			if fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s has an init function", src.path)
			}
			length := src.set.Position(fn.End()).Line - src.set.Position(fn.Pos()).Line
			if length > 80 {
				t.Errorf("%s: %s has %d lines", src.path, fn.Name.Name, length)
			}
		}
	}
}

func TestDependenciesHaveAReason(t *testing.T) {
	gomod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile(filepath.Join("..", "..", "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	direct, _, _ := strings.Cut(string(gomod), ")")
	for line := range strings.Lines(direct) {
		path, _, found := strings.Cut(strings.TrimSpace(line), " v")
		if found && !strings.Contains(string(reasons), "`"+path+"`") {
			t.Errorf("docs/dependencies.md gives no reason for %s", path)
		}
	}
}

func roomOf(t *testing.T, dir string) (room string, leaf bool) {
	t.Helper()
	within := func(folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }
	if slices.ContainsFunc(leaves, within) {
		return dir, true
	}
	if i := slices.IndexFunc(rooms, within); i >= 0 {
		return rooms[i], false
	}
	if within("internal/architecture") {
		return "cmd", false
	}
	t.Errorf("package %s is in no room: see docs/architecture.md", dir)
	return "", false
}

func onlyTests(t *testing.T, dir string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return !slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, "_test.go") })
}

func parse(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, source{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), file: file, set: set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
