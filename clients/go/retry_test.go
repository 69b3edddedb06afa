package promptledger

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func refused(code codes.Code, reason string, retry ...time.Duration) failure {
	e := &LedgerError{Code: code, Reason: reason, Message: "said so"}
	for _, after := range retry {
		e.RetryAfter = &after
	}
	return failedBy(typed(e))
}

func at(seconds float64) moment {
	return moment{now: time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second))), chance: 1}
}

func TestWhatMayPassIsTriedAgainAndWhatMayNotIsFinal(t *testing.T) {
	for _, each := range []struct {
		how   failure
		again bool
		asked time.Duration
	}{
		{refused(codes.Unavailable, "DRAINING", time.Second), true, time.Second},
		{refused(codes.Unavailable, "STORE_UNAVAILABLE"), true, 0},
		{refused(codes.Unavailable, ""), true, 0},
		{refused(codes.Aborted, "SLOW_CONSUMER"), true, 0},
		{refused(codes.Unknown, ""), true, 0},
		{refused(codes.Internal, ""), true, 0},
		{refused(codes.Canceled, ""), true, 0},
		{brokenBy(brokenCut), true, 0},
		{brokenBy(brokenSilent), true, 0},
		{brokenBy(brokenGap), true, 0},
		{brokenBy(brokenOverflow), true, 0},
		{refused(codes.Internal, "INTERNAL"), false, 0},
		{refused(codes.Aborted, "ETAG_MISMATCH"), false, 0},
		{refused(codes.NotFound, "EXECUTION_NOT_FOUND"), false, 0},
		{refused(codes.OutOfRange, "SEQUENCE_AHEAD"), false, 0},
		{refused(codes.Unauthenticated, "KEY_INVALID"), false, 0},
		{refused(codes.ResourceExhausted, "TOO_MANY_WATCHERS", time.Second), false, 0},
		{refused(codes.Unimplemented, ""), false, 0},
	} {
		v := ofStream(each.how)
		if v.again != each.again || (v.asked != nil) != (each.asked > 0) || v.asked != nil && *v.asked != each.asked {
			t.Errorf("%v: %+v", each.how, v)
		}
	}
}

func TestWhatCostsIsRepeatedOnlyWhereNothingBegan(t *testing.T) {
	unconnected := failedBy(typed(&LedgerError{Code: codes.Unavailable, unconnected: true}))
	recorded := failedBy(typed(&LedgerError{
		Code: codes.ResourceExhausted, Reason: "OVERLOADED", Metadata: map[string]string{"execution_id": "e1"},
	}))
	for _, each := range []struct {
		how               failure
		freely, otherwise bool
	}{
		{refused(codes.Unavailable, "DRAINING"), true, true},
		{refused(codes.ResourceExhausted, "OVERLOADED"), true, true},
		{unconnected, true, true},
		{recorded, false, false},
		{refused(codes.Unavailable, "STORE_UNAVAILABLE"), true, false},
		{refused(codes.Unavailable, ""), true, false},
		{refused(codes.Internal, ""), true, false},
		{refused(codes.ResourceExhausted, "RATE_LIMITED", 2*time.Second), true, false},
		{refused(codes.Aborted, "SLOW_CONSUMER"), false, false},
		{refused(codes.DeadlineExceeded, ""), false, false},
		{refused(codes.ResourceExhausted, "TOO_LARGE"), false, false},
	} {
		if freely, otherwise := ofCall(each.how, true).again, ofCall(each.how, false).again; freely != each.freely ||
			otherwise != each.otherwise {
			t.Errorf("%v: freely %v, otherwise %v", each.how, freely, otherwise)
		}
	}
}

func TestDelaysGrowToFiveSecondsWithJitter(t *testing.T) {
	for _, each := range []struct {
		chance float64
		delays []time.Duration
	}{
		{1, []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000}},
		{0, []time.Duration{50, 100, 200}},
	} {
		window := retryWindow{limit: forever}
		for i, expected := range each.delays {
			delay, ok := window.delay(verdict{again: true}, moment{at(0).now, each.chance})
			if delay != expected*time.Millisecond || !ok {
				t.Errorf("chance %v, failure %d: %v", each.chance, i, delay)
			}
		}
	}
	window := retryWindow{limit: forever, failures: 1 << 40}
	if delay, _ := window.delay(verdict{again: true}, at(0)); delay != longestDelay {
		t.Errorf("after very many failures: %v", delay)
	}
}

func TestTheDelayThatAServerAsksForIsKeptToAndSpread(t *testing.T) {
	for _, each := range []struct {
		asked    time.Duration
		chance   float64
		expected time.Duration
	}{
		{time.Second, 0, time.Second},
		{time.Second, 1, 1200 * time.Millisecond},
		{1e6 * time.Hour, 0, time.Hour},
		{0, 0, firstDelay},
		{1, 1, firstDelay * 6 / 5},
		{-time.Hour, 0, firstDelay},
		{math.MinInt64, 0, firstDelay},
		{math.MaxInt64, 0, time.Hour},
	} {
		window := retryWindow{limit: forever}
		delay, ok := window.delay(verdict{true, &each.asked}, moment{at(0).now, each.chance})
		if delay != each.expected || !ok {
			t.Errorf("%+v: %v", each, delay)
		}
	}
}

func TestPatienceEndsAWhileAfterTheLastProgress(t *testing.T) {
	window, again := retryWindow{limit: time.Minute}, verdict{again: true}
	for _, second := range []float64{100, 159} {
		if _, err := window.failed(brokenBy(brokenCut), again, at(second)); err != nil {
			t.Fatal(err)
		}
	}
	window.progressed()
	if delay, err := window.failed(brokenBy(brokenCut), again, at(200)); delay != firstDelay || err != nil {
		t.Fatal(delay, err)
	}
	if _, err := window.failed(brokenBy(brokenCut), again, at(259)); err != nil {
		t.Fatal(err)
	}
	_, err := window.failed(brokenBy(brokenSilent), again, at(260))
	if _, gaveUp := errors.AsType[*GaveUp](err); !gaveUp ||
		!strings.Contains(err.Error(), "gave up after 1m0s without news: the server said") {
		t.Error(err)
	}
}

func TestTheLastErrorSaysWhatHappened(t *testing.T) {
	for _, how := range []failure{brokenBy(brokenCut), brokenBy(brokenGap), refused(codes.Unavailable, "")} {
		if _, ok := errors.AsType[*NotResumable](lastError(how)); !ok {
			t.Errorf("%v: %v", how, lastError(how))
		}
	}
	final := refused(codes.NotFound, "PROMPT_NOT_FOUND")
	if lastError(final) != final.err {
		t.Error(lastError(final))
	}
}

func TestTheDeadlineBoundsAllAttemptsTogether(t *testing.T) {
	tries := attempts{ends: at(30).now, freely: true, window: retryWindow{limit: 30 * time.Second}}
	away := refused(codes.Unavailable, "")
	if delay, again := tries.delay(away, at(0)); delay != firstDelay || !again {
		t.Error(delay, again)
	}
	if _, again := tries.delay(away, at(29.9)); again {
		t.Error("the delay outlasts the deadline")
	}
	if _, again := tries.delay(refused(codes.Unavailable, "DRAINING", time.Minute), at(1)); again {
		t.Error("the server asks for more than there is")
	}
	if _, again := tries.delay(refused(codes.NotFound, ""), at(1)); again {
		t.Error("a refusal is final")
	}
}
