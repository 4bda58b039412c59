package config

// File gives the configuration file that was read and its text, notes and
// secrets included; "" where there is none.
func (l *Loaded) File() (path, text string) {
	if l.opts.Path == "" {
		return "", ""
	}
	return l.opts.Path, l.saved
}
