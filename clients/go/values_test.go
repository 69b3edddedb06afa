package promptledger

import (
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

type (
	named  string
	amount int
	yes    bool
	price  struct {
		Amount   float64 `json:"amount"`
		Currency string  `json:"currency"`
	}
	broken struct{}
)

func (broken) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON") }

func TestValuesAreWhatJSONHas(t *testing.T) {
	for _, each := range []struct {
		value    any
		expected string
	}{
		{nil, `null`},
		{"Ada", `"Ada"`},
		{true, `true`},
		{3, `3`},
		{int64(-3), `-3`},
		{uint8(3), `3`},
		{1.5, `1.5`},
		{float32(1.5), `1.5`},
		{1 << 53, `9007199254740992`},
		{json.Number("12"), `12`},
		{json.Number("1.25"), `1.25`},
		{[]any{"a", 1, nil}, `["a",1,null]`},
		{[]string{"a", "b"}, `["a","b"]`},
		{[2]int{1, 2}, `[1,2]`},
		{map[string]any{"a": map[string]int{"b": 1}}, `{"a":{"b":1}}`},
		{map[named]amount{"a": 1}, `{"a":1}`},
		{named("Ada"), `"Ada"`},
		{amount(3), `3`},
		{yes(true), `true`},
		{price{1.5, "EUR"}, `{"amount":1.5,"currency":"EUR"}`},
		{&price{1.5, "EUR"}, `{"amount":1.5,"currency":"EUR"}`},
		{(*price)(nil), `null`},
		{time.Unix(0, 0).UTC(), `"1970-01-01T00:00:00Z"`},
		{structpb.NewStringValue("Ada"), `"Ada"`},
		{&structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}}, `{"a":1}`},
	} {
		value, err := asValue(each.value, "variables.x")
		if err != nil {
			t.Errorf("%v: %v", each.value, err)
			continue
		}
		var expected structpb.Value
		if err := protojson.Unmarshal([]byte(each.expected), &expected); err != nil {
			t.Fatal(err)
		}
		if got, want := protojson.Format(value), protojson.Format(&expected); got != want {
			t.Errorf("%v: %s", each.value, got)
		}
	}
}

func TestValuesThatCannotBeSentAreNamed(t *testing.T) {
	for _, each := range []struct {
		value any
		field string
	}{
		{math.NaN(), "variables.x"},
		{math.Inf(1), "variables.x"},
		{1<<53 + 1, "variables.x"},
		{-1<<53 - 1, "variables.x"},
		{uint64(1<<53 + 1), "variables.x"},
		{json.Number("x"), "variables.x"},
		{"\xff", "variables.x"},
		{[]byte("x"), "variables.x"},
		{[]any{1, math.NaN()}, "variables.x[1]"},
		{map[string]any{"a": []int{1 << 60}}, "variables.x.a[0]"},
		{map[int]string{1: "a"}, "variables.x"},
		{broken{}, "variables.x"},
		{func() {}, "variables.x"},
		{struct{ F func() }{}, "variables.x"},
	} {
		_, err := asStruct(Vars{"x": each.value}, "variables")
		invalid, ok := errors.AsType[*InvalidField](err)
		if !ok || invalid.Fields[each.field] == "" || invalid.Reason != "INVALID_FIELD" {
			t.Errorf("%T: %v", each.value, err)
		}
	}
}

func TestIdsAreSortedByTimeAndOfVersion7(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	now := time.UnixMilli(0x0190163d8694)
	first, second, later := newUUID(now), newUUID(now), newUUID(now.Add(time.Millisecond))
	if !form.MatchString(first) || first == second || first[:13] != "0190163d-8694" || later <= first {
		t.Error(first, second, later)
	}
}

func TestWordsOfEnums(t *testing.T) {
	if word := statusWords.of(3); word != StatusSucceeded {
		t.Error(word)
	}
	if word := statusWords.of(0); word != "" {
		t.Error(word)
	}
	// Of a newer server.
	if word := statusWords.of(99); word != "99" {
		t.Error(word)
	}
	if number, err := changeWords.number("kinds", ChangeLabelSet); number != 5 || err != nil {
		t.Error(number, err)
	}
	_, err := statusWords.numbers("statuses", []Status{StatusQueued, "lost"})
	if invalid, ok := errors.AsType[*InvalidField](err); !ok ||
		invalid.Fields["statuses"] != `"lost" is none of queued, running, succeeded, failed, canceled` {
		t.Error(err)
	}
}
