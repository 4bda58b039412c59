package db

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// systemVFS is the name of the system's own files without memory mapping. The
// library's files with sums (v0.36.0 and v0.37.0) say that they can be mapped
// and panic when SQLite takes them at their word: a reader's last checkpoint
// does, though nothing was ever mapped.
const systemVFS = "dynotap"

// unmappedVFS is the system's own file system otherwise.
type unmappedVFS struct{}

func (unmappedVFS) Open(_ string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, flags, sqlite3.CANTOPEN // SQLite calls OpenFilename
}

func (unmappedVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	system, ok := vfs.Find("").(vfs.VFSFilename)
	if !ok {
		return nil, flags, sqlite3.CANTOPEN
	}
	file, flags, err := system.OpenFilename(name, flags)
	if whole, ok := file.(systemFile); ok && err == nil {
		file = unmappedFile{whole}
	}
	return file, flags, err
}

func (unmappedVFS) Delete(name string, syncDir bool) error { return vfs.Find("").Delete(name, syncDir) }

func (unmappedVFS) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("").Access(name, flags)
}

func (unmappedVFS) FullPathname(name string) (string, error) { return vfs.Find("").FullPathname(name) }

// systemFile is what a file of the system can do, but for mapping.
type systemFile interface {
	vfs.File
	vfs.FileHasMoved
	vfs.FileLockState
	vfs.FilePersistWAL
	vfs.FilePowersafeOverwrite
	vfs.FileSharedMemory
	vfs.FileSizeHint
}

type unmappedFile struct{ systemFile }
