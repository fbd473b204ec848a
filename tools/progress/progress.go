// Package progress shows on a terminal what a command is doing, if it takes more than two seconds.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// Line is one line of a terminal whose text changes. A nil *Line shows nothing.
type Line struct {
	out   io.Writer
	start time.Time
	stop  chan struct{}
	ended chan struct{}

	mutex sync.Mutex
	text  string
	shown bool
}

const (
	after = 2 * time.Second
	every = time.Second
)

// Start shows a text with the seconds that have passed, from the third second on. It returns nil if
// the file is no terminal.
func Start(file *os.File, text string) *Line {
	if !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return start(file, text, after, every)
}

func start(out io.Writer, text string, after, every time.Duration) *Line {
	l := &Line{out: out, start: time.Now(), stop: make(chan struct{}), ended: make(chan struct{}), text: text}
	go func() {
		defer close(l.ended)
		for wait := after; ; wait = every {
			select {
			case <-l.stop:
				return
			case <-time.After(wait):
				l.draw()
			}
		}
	}()
	return l
}

// Text changes the text.
func (l *Line) Text(text string) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.text = text
}

// Around erases the line and calls write, which writes to the same terminal.
func (l *Line) Around(write func() error) error {
	if l == nil {
		return write()
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.clear()
	return write()
}

// Stop erases the line and ends it.
func (l *Line) Stop() {
	if l == nil {
		return
	}
	close(l.stop)
	<-l.ended
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.clear()
}

func (l *Line) draw() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.clear()
	// The command goes on without its terminal.
	_, err := fmt.Fprintf(l.out, "%s (%d s)", l.text, int(time.Since(l.start).Seconds()))
	l.shown = err == nil
}

// clear returns to the beginning of the line and erases it.
func (l *Line) clear() {
	if l.shown {
		_, err := io.WriteString(l.out, "\r\x1b[K")
		l.shown = err != nil
	}
}
