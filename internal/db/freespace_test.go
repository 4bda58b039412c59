package db

import "testing"

func TestFreeSpace(t *testing.T) {
	t.Parallel()
	free, total, err := FreeSpace(t.TempDir())
	if err != nil || free == 0 || total < free {
		t.Errorf("%d of %d bytes free, %v", free, total, err)
	}
	if _, _, err := FreeSpace("/does/not/exist"); err == nil {
		t.Error("no error")
	}
}
