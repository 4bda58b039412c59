// Package dbtest lets tests break the file system under a database, and cut
// the power of its disk.
package dbtest

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// system is the system's own file system, as far as the others leave it alone.
type system struct{}

// Open is for SQLite, as the following methods are.
func (system) Open(_ string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, flags, sqlite3.CANTOPEN // SQLite calls OpenFilename
}

// Delete removes a file.
func (system) Delete(name string, syncDir bool) error { return vfs.Find("").Delete(name, syncDir) }

// Access asks whether a file is there.
func (system) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("").Access(name, flags)
}

// FullPathname makes a path absolute.
func (system) FullPathname(name string) (string, error) { return vfs.Find("").FullPathname(name) }

func (system) openFile(name *vfs.Filename, flags vfs.OpenFlag) (systemFile, vfs.OpenFlag, error) {
	own, ok := vfs.Find("").(vfs.VFSFilename)
	if !ok {
		return systemFile{}, flags, sqlite3.CANTOPEN
	}
	file, flags, err := own.OpenFilename(name, flags)
	return systemFile{file}, flags, err
}

// systemFile passes on what SQLite asks of the system's file beyond vfs.File.
type systemFile struct{ vfs.File }

func (f systemFile) SharedMemory() vfs.SharedMemory {
	if shared, ok := f.File.(vfs.FileSharedMemory); ok {
		return shared.SharedMemory()
	}
	return nil
}

func (f systemFile) HasMoved() (bool, error) {
	if file, ok := f.File.(vfs.FileHasMoved); ok {
		return file.HasMoved()
	}
	return false, nil
}
