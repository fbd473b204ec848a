package progress

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	var out strings.Builder
	l := start(&out, "Working", time.Millisecond, time.Millisecond)
	for {
		seen := false
		if err := l.Around(func() error { seen = strings.Contains(out.String(), "Working (0 s)"); return nil }); err != nil {
			t.Fatal(err)
		}
		if seen {
			break
		}
		time.Sleep(time.Millisecond)
	}
	l.Text("Ending")
	failure := errors.New("failure")
	if err := l.Around(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("got error %v", err)
	}
	l.Stop()
	if text := out.String(); !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("the line stays: %q", text)
	}
}

func TestNoTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l := Start(file, "Working")
	if l != nil {
		t.Error("a file counts as a terminal")
	}
	l.Text("Ending")
	l.Stop()
}
