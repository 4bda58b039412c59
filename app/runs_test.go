package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestARunIsFoundByTheBeginningOfItsID(t *testing.T) {
	t.Parallel()
	const one, two = "01a20837-5f2c-7552-bea2-f96a40f8c60f", "01a20837-10a8-7a29-a237-79de799e7e04"
	serves := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("text")
		list := map[string][]map[string]string{"runs": {}}
		for _, id := range []string{one, two} {
			if strings.Contains(id, strings.ToLower(text)) {
				list["runs"] = append(list["runs"], map[string]string{"id": id})
			}
		}
		if err := json.NewEncoder(w).Encode(list); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(serves.Close)
	c := &client{base: serves.URL + "/", http: serves.Client()}
	for _, test := range []struct{ id, found, says string }{
		{one, one, ""},
		{"01a20837-5", one, ""},
		{"01A20837-10A8", two, ""},
		{"01a20837", "", "2 runs begin with 01a20837, such as " + one},
		{"f96a40f8c60f", "", "no run f96a40f8c60f: dynotap runs list"}, // an end
		{"0190", "", "no run 0190"},
	} {
		path, err := runPath(t.Context(), c, test.id)
		if test.says != "" {
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %q, %v", test.id, path, err)
			}
			continue
		}
		if err != nil || path != "api/v1/runs/"+test.found {
			t.Errorf("%s: %q, %v", test.id, path, err)
		}
	}
}
