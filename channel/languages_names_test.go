package channel

import "testing"

// No name of another language takes one that has a meaning already.
func TestNamesInOtherLanguagesAreNew(t *testing.T) {
	t.Parallel()
	known := map[string]string{}
	for _, group := range aliasesByMeaning {
		for _, name := range group.names {
			known[joined(name)] = group.quantity
		}
	}
	for _, q := range Canonical {
		known[joined(q.Name)] = q.Name
	}
	for _, group := range aliasesInLanguages {
		for _, name := range group.names {
			for _, words := range spellings(joined(name)) {
				if other, taken := known[words]; taken && other != group.quantity {
					t.Errorf("%q is %s and %s", name, group.quantity, other)
				}
				known[words] = group.quantity
			}
		}
	}
}
