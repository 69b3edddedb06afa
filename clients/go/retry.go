package promptledger

import (
	"math"
	"time"

	"google.golang.org/grpc/codes"
)

// When to try again, and when to give up. Pure: time and randomness are arguments.

const (
	// The delay after the first failure, and the longest one; between them it doubles.
	firstDelay   = 100 * time.Millisecond
	longestDelay = 5 * time.Second
	// The longest delay that a server is granted; the shortest is firstDelay.
	longestAsked = time.Hour
	// A patience without end.
	forever = time.Duration(math.MaxInt64)
)

// moment is a time, and a random number from 0 to 1.
type moment struct {
	now    time.Time
	chance float64
}

// breakage is how a stream may break without an error, as a sentence. Empty: it did not.
type breakage string

const (
	brokenCut      breakage = "the stream ended before the execution"
	brokenSilent   breakage = "the server said nothing, not even that it lives"
	brokenGap      breakage = "the stream left something out"
	brokenOverflow breakage = "the stream was read too slowly"
)

// failure is how a stream or a call ended: by an error, or by a breakage.
type failure struct {
	broken breakage
	// Absent where it broke.
	err error
	*LedgerError
}

func failedBy(err error) failure     { return failure{err: err, LedgerError: ledgerError(err)} }
func brokenBy(how breakage) failure  { return failure{broken: how} }
func (f failure) isError() bool      { return f.err != nil }
func (f failure) nothingBegan() bool { return f.isError() && f.NothingBegan() }
func (f failure) asked() *time.Duration {
	if !f.isError() {
		return nil
	}
	return f.RetryAfter
}

// Error says what happened, also where it was no error.
func (f failure) Error() string {
	if !f.isError() {
		return string(f.broken)
	}
	return f.err.Error()
}

// verdict says whether to try again, and how long the server asked to wait; absent where it did not.
type verdict struct {
	again bool
	asked *time.Duration
}

// ofStream says whether another stream is opened where one has failed.
func ofStream(f failure) verdict {
	if !f.isError() {
		return verdict{again: true}
	}
	switch f.Code {
	case codes.Unavailable:
		return verdict{again: true, asked: f.RetryAfter}
	case codes.Aborted:
		return verdict{again: f.Reason == "SLOW_CONSUMER"}
	case codes.Unknown, codes.Internal, codes.Canceled:
		// The server gives each of its own errors a reason: without one, the connection broke.
		return verdict{again: f.Reason == ""}
	default:
		return verdict{}
	}
}

// ofCall says whether a call that answers once is repeated: freely where it may be done twice, else where nothing began.
func ofCall(f failure, freely bool) verdict {
	switch {
	case f.nothingBegan():
		return verdict{again: true, asked: f.RetryAfter}
	case !freely:
		return verdict{}
	case f.Code == codes.ResourceExhausted:
		return verdict{again: f.RetryAfter != nil, asked: f.RetryAfter}
	case f.Code == codes.Aborted:
		return verdict{}
	default:
		return ofStream(f)
	}
}

// lastError is the error where no other stream is opened, though the breakage alone might have allowed it.
func lastError(f failure) error {
	if f.isError() && !ofStream(f).again {
		return f.err
	}
	const why = "the stream broke, and without an idempotency key nothing goes on: %s"
	return &NotResumable{clientError(codes.Unavailable, why, f.Error())}
}

// retryWindow bounds how long to try again without progress.
type retryWindow struct {
	limit time.Duration
	// Zero: nothing has failed since the last progress.
	failingSince time.Time
	failures     int
}

func (w *retryWindow) progressed() { w.failingSince, w.failures = time.Time{}, 0 }

// delay returns how long to wait before the next try; false where the window ends before.
func (w *retryWindow) delay(v verdict, at moment) (time.Duration, bool) {
	if w.failingSince.IsZero() {
		w.failingSince = at.now
	}
	var delay float64
	if v.asked != nil {
		// Never earlier than asked, and spread over time. A server that asks for no delay is not asked without one.
		delay = float64(min(max(*v.asked, firstDelay), longestAsked)) * (1 + 0.2*at.chance)
	} else {
		doubled := min(firstDelay<<min(w.failures, 10), longestDelay)
		delay = float64(doubled) * (0.5 + 0.5*at.chance)
	}
	w.failures++
	wait := time.Duration(delay)
	return wait, at.now.Sub(w.failingSince) <= w.limit-wait
}

// failed returns how long to wait before the next stream, or the error where there is none.
func (w *retryWindow) failed(f failure, v verdict, at moment) (time.Duration, error) {
	if !v.again {
		return 0, lastError(f)
	}
	delay, ok := w.delay(v, at)
	if !ok {
		after := at.now.Sub(w.failingSince).Round(100 * time.Millisecond)
		return 0, &GaveUp{clientError(codes.Unavailable, "gave up after %s without news: %s", after, f.Error())}
	}
	return delay, nil
}

// attempts are those of one call that answers once, until ends.
type attempts struct {
	ends   time.Time
	freely bool
	window retryWindow
}

// delay returns how long to wait before the next attempt; false where there is none.
func (a *attempts) delay(f failure, at moment) (time.Duration, bool) {
	v := ofCall(f, a.freely)
	if !v.again {
		return 0, false
	}
	delay, ok := a.window.delay(v, at)
	return delay, ok && at.now.Add(delay).Before(a.ends)
}
