package serial

// heldExclusively cannot be asked here: the administrator opens what another
// program holds, unless that program locks it.
func heldExclusively(int) bool { return false }
