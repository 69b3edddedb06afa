package promptledger

import (
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// The decisions of a watch: which updates it tells, and when it opens another stream. Pure.

// taken is the effect of a message.
type taken int

const (
	// It contained nothing new.
	tookNothing taken = iota
	// It was new, or a sign of life: the retry window starts anew.
	tookNews
	// It was the last.
	tookLast
	// An event or text before it is missing.
	tookGap
	// It was the last, in an unknown form.
	tookUnreadable
)

func news(isNew bool) taken {
	if isNew {
		return tookNews
	}
	return tookNothing
}

// reader reads the messages of several streams as one sequence of updates.
type reader[M proto.Message, U any] interface {
	// ask returns the request of the next stream; its type says which.
	ask() proto.Message
	// begins: another stream begins.
	begins()
	// take reads a message and tells what is new.
	take(message M, tell func(U)) taken
	// resumes says whether a broken stream may be resumed by another.
	resumes() bool
	// broke: a stream broke. It returns whether another one may be opened all the same, though the rules for streams say no.
	broke(f failure, tell func(U)) bool
}

// next is what to do once the updates have been told: read on, end, or open another stream after the delay.
type next struct {
	over  bool
	delay *time.Duration
}

// machine is the state of a watch.
type machine[M proto.Message, U any] struct {
	reader  reader[M, U]
	updates []U
	window  retryWindow
	// The present stream has delivered a message.
	heard bool
}

func (m *machine[M, U]) tell(update U) { m.updates = append(m.updates, update) }

// pop returns the next update; false where there is none.
func (m *machine[M, U]) pop() (U, bool) {
	var update U
	if len(m.updates) == 0 {
		return update, false
	}
	update, m.updates[0] = m.updates[0], update
	if m.updates = m.updates[1:]; len(m.updates) == 0 {
		m.updates = nil
	}
	return update, true
}

// opened: another stream was opened.
func (m *machine[M, U]) opened() {
	m.heard = false
	m.reader.begins()
}

// took: a message arrived.
func (m *machine[M, U]) took(message M, at moment) (next, error) {
	m.heard = true
	switch m.reader.take(message, m.tell) {
	case tookNews:
		m.window.progressed()
	case tookLast:
		return next{over: true}, nil
	case tookGap:
		return m.failed(brokenBy(brokenGap), at)
	case tookUnreadable:
		const why = "the execution ended in a way that this client does not know; a newer client is needed"
		return next{}, &Unreadable{clientError(codes.Unimplemented, why)}
	}
	return next{}, nil
}

// failed: the stream broke, or could not be opened.
func (m *machine[M, U]) failed(f failure, at moment) (next, error) {
	// What the server has not begun with can be asked for again, whatever it is.
	untouched := !m.heard && f.nothingBegan()
	if !m.reader.resumes() && !untouched {
		return next{}, lastError(f)
	}
	recovers := m.reader.broke(f, m.tell) || untouched
	v := ofStream(f)
	if recovers && !v.again {
		v = verdict{again: true, asked: f.asked()}
	}
	// A stream that had begun, and was ended by a server that says when to come back, is no failure.
	if m.heard && v.again && v.asked != nil {
		m.window.progressed()
	}
	m.heard = false
	delay, err := m.window.failed(f, v, at)
	if err != nil {
		return next{}, err
	}
	return next{delay: &delay}, nil
}
