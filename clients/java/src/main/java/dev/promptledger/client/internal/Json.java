package dev.promptledger.client.internal;

import com.google.protobuf.ListValue;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** Values of JSON, as Java has them and as the contract does. */
public final class Json {
    // Whole numbers beyond are not exact in a double, which numbers of the contract are.
    private static final BigInteger LARGEST_EXACT = BigInteger.TWO.pow(53);

    private Json() {}

    /**
     * An object. Values are null, booleans, texts, numbers, maps, and collections or arrays of such; others are an
     * {@link dev.promptledger.client.errors.InvalidFieldException}, which names the path below {@code field}.
     */
    public static Struct struct(Map<?, ?> values, String field) {
        var struct = Struct.newBuilder();
        values.forEach((name, value) -> {
            if (!(name instanceof String text)) {
                throw Errors.invalidField(field, "the key " + name + " is no text");
            }
            struct.putFields(text, value(value, field + "." + name));
        });
        return struct.build();
    }

    private static Value value(Object value, String field) {
        var result = Value.newBuilder();
        if (value == null) {
            return result.setNullValue(NullValue.NULL_VALUE).build();
        } else if (value instanceof Boolean truth) {
            return result.setBoolValue(truth).build();
        } else if (value instanceof CharSequence text) {
            return result.setStringValue(text.toString()).build();
        } else if (value instanceof Number number) {
            return result.setNumberValue(number(number, field)).build();
        } else if (value instanceof Map<?, ?> map) {
            return result.setStructValue(struct(map, field)).build();
        } else if (value instanceof Iterable<?> items) {
            return result.setListValue(list(items, field)).build();
        } else if (value instanceof Object[] items) {
            return result.setListValue(list(Arrays.asList(items), field)).build();
        }
        throw Errors.invalidField(field, "a " + value.getClass().getName() + " is no value of JSON");
    }

    private static ListValue list(Iterable<?> items, String field) {
        var list = ListValue.newBuilder();
        for (var item : items) {
            list.addValues(value(item, field + "[" + list.getValuesCount() + "]"));
        }
        return list.build();
    }

    private static double number(Number number, String field) {
        if (number instanceof Long || number instanceof BigInteger) {
            var whole = number instanceof BigInteger big ? big : BigInteger.valueOf(number.longValue());
            if (whole.abs().compareTo(LARGEST_EXACT) > 0) {
                throw Errors.invalidField(field, number + " is beyond 2^53 and would not be sent exactly: send a text");
            }
        }
        var value = number instanceof BigDecimal decimal ? decimal.doubleValue() : number.doubleValue();
        if (!Double.isFinite(value)) {
            throw Errors.invalidField(field, number + " is no number of JSON: send a text");
        }
        return value;
    }

    /** An object as Java has it: numbers as {@link Double}, in the order that was sent. */
    public static Map<String, Object> map(Struct struct) {
        var map = new LinkedHashMap<String, Object>();
        struct.getFieldsMap().forEach((name, value) -> map.put(name, java(value)));
        return map;
    }

    private static Object java(Value value) {
        return switch (value.getKindCase()) {
            case BOOL_VALUE -> value.getBoolValue();
            case STRING_VALUE -> value.getStringValue();
            case NUMBER_VALUE -> value.getNumberValue();
            case STRUCT_VALUE -> map(value.getStructValue());
            case LIST_VALUE ->
                value.getListValue().getValuesList().stream().map(Json::java).toList();
            default -> null;
        };
    }
}
