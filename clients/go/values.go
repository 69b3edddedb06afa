package promptledger

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

// Vars are the values that a template is rendered with: what JSON has, and whatever encodes to that.
type Vars = map[string]any

// Whole numbers beyond are not exact in a double, which the numbers of the contract's JSON are.
const largestExact = 1 << 53

// asStruct returns a JSON object; field names it in errors.
func asStruct(values map[string]any, field string) (*structpb.Struct, error) {
	fields := make(map[string]*structpb.Value, len(values))
	for name, value := range values {
		written, err := asValue(value, field+"."+name)
		if err != nil {
			return nil, err
		}
		fields[name] = written
	}
	return &structpb.Struct{Fields: fields}, nil
}

// asInt32 returns the nearest number that the contract has: one that is too large is refused by the server, and never becomes another.
func asInt32(number int) int32 {
	return int32(min(max(number, math.MinInt32), math.MaxInt32))
}

func asValue(value any, field string) (*structpb.Value, error) {
	switch value := value.(type) {
	case nil:
		return structpb.NewNullValue(), nil
	case string:
		if !utf8.ValidString(value) {
			return nil, invalidField(field, "the text is no UTF-8")
		}
		return structpb.NewStringValue(value), nil
	case bool:
		return structpb.NewBoolValue(value), nil
	case int:
		return wholeValue(int64(value), field)
	case float64:
		return numberValue(value, field)
	case json.Number:
		return textNumber(value, field)
	case map[string]any:
		object, err := asStruct(value, field)
		return structpb.NewStructValue(object), err
	case *structpb.Value:
		return value, nil
	case *structpb.Struct:
		return structpb.NewStructValue(value), nil
	case json.Marshaler, encoding.TextMarshaler:
		return encodedValue(value, field)
	default:
		return reflectedValue(reflect.ValueOf(value), field)
	}
}

// reflectedValue is for named types, and for lists and maps of anything.
func reflectedValue(value reflect.Value, field string) (*structpb.Value, error) {
	switch value.Kind() {
	case reflect.String:
		return asValue(value.String(), field)
	case reflect.Bool:
		return structpb.NewBoolValue(value.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return wholeValue(value.Int(), field)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if value.Uint() > largestExact {
			return nil, notExact(value.Uint(), field)
		}
		return structpb.NewNumberValue(float64(value.Uint())), nil
	case reflect.Float32, reflect.Float64:
		return numberValue(value.Float(), field)
	case reflect.Pointer:
		if value.IsNil() {
			return structpb.NewNullValue(), nil
		}
		return asValue(value.Elem().Interface(), field)
	case reflect.Map:
		return mapValue(value, field)
	case reflect.Slice, reflect.Array:
		return listValue(value, field)
	case reflect.Struct:
		return encodedValue(value.Interface(), field)
	default:
		return nil, invalidField(field, "a %s is no value of JSON", value.Type())
	}
}

func mapValue(value reflect.Value, field string) (*structpb.Value, error) {
	if value.Type().Key().Kind() != reflect.String {
		return nil, invalidField(field, "a %s is no value of JSON: its keys are no strings", value.Type())
	}
	object := make(map[string]any, value.Len())
	for entries := value.MapRange(); entries.Next(); {
		object[entries.Key().String()] = entries.Value().Interface()
	}
	written, err := asStruct(object, field)
	return structpb.NewStructValue(written), err
}

func listValue(value reflect.Value, field string) (*structpb.Value, error) {
	if value.Type().Elem().Kind() == reflect.Uint8 {
		return nil, invalidField(field, "a %s is no value of JSON: send a string", value.Type())
	}
	list := &structpb.ListValue{Values: make([]*structpb.Value, value.Len())}
	for i := range value.Len() {
		item, err := asValue(value.Index(i).Interface(), fmt.Sprintf("%s[%d]", field, i))
		if err != nil {
			return nil, err
		}
		list.Values[i] = item
	}
	return structpb.NewListValue(list), nil
}

// encodedValue is for what says itself how it encodes.
func encodedValue(value any, field string) (*structpb.Value, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, invalidField(field, "%v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var decoded any
	if err := decoder.Decode(&decoded); err != nil {
		return nil, invalidField(field, "%v", err)
	}
	return asValue(decoded, field)
}

func wholeValue(value int64, field string) (*structpb.Value, error) {
	if value > largestExact || value < -largestExact {
		return nil, notExact(value, field)
	}
	return structpb.NewNumberValue(float64(value)), nil
}

func numberValue(value float64, field string) (*structpb.Value, error) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil, invalidField(field, "%v is no number of JSON: send a string", value)
	}
	return structpb.NewNumberValue(value), nil
}

func textNumber(value json.Number, field string) (*structpb.Value, error) {
	if whole, err := value.Int64(); err == nil {
		return wholeValue(whole, field)
	}
	number, err := value.Float64()
	if err != nil {
		return nil, invalidField(field, "%q is no number", value.String())
	}
	return numberValue(number, field)
}

func notExact(value any, field string) error {
	return invalidField(field, "%v is beyond 2^53 and would not be sent exactly: send a string", value)
}
