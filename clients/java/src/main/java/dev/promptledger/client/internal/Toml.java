package dev.promptledger.client.internal;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * Reads TOML 1.0, as far as a file of profiles needs it: the structure of any such file, and its texts. Numbers, truths and times
 * are told apart from texts, and not looked into. Written here since the readers that there are bring a parser's runtime along,
 * which many applications have in a version of their own.
 */
final class Toml {
    private static final Pattern BARE_VALUE = Pattern.compile(
            "true|false|[+-]?(inf|nan)"
                    + "|[+-]?(0|[1-9](_?[0-9])*)(\\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?"
                    + "|0x[0-9A-Fa-f](_?[0-9A-Fa-f])*|0o[0-7](_?[0-7])*|0b[01](_?[01])*"
                    + "|\\d{4}-\\d{2}-\\d{2}([Tt ]\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?([Zz]|[+-]\\d{2}:\\d{2})?)?|\\d{2}:\\d{2}:\\d{2}(\\.\\d+)?");

    private final TomlScanner in;
    private final Map<String, Object> root = new LinkedHashMap<>();
    /** Tables that were opened by a header of their own, or stand in braces: nobody opens them again. */
    private final List<Map<String, Object>> closed = new ArrayList<>();

    private Toml(String text) {
        this.in = new TomlScanner(text);
    }

    /** A value that is no text. */
    record Other(String written) {}

    /** What stands there is no TOML. Says where, and not what. */
    static final class SyntaxException extends RuntimeException {
        private final int line;

        SyntaxException(int line) {
            super("at line " + line);
            this.line = line;
        }

        int line() {
            return line;
        }
    }

    /** Tables as maps, arrays as lists, texts as {@link String}; all else as {@link Other}. */
    static Map<String, Object> parse(String text) {
        var toml = new Toml(text);
        toml.document();
        return toml.root;
    }

    private void document() {
        var table = root;
        in.blanksAndLines();
        while (!in.atEnd()) {
            if (in.skip("[[")) {
                table = header(true);
            } else if (in.skip("[")) {
                table = header(false);
            } else {
                pair(table);
            }
            in.endOfLine();
            in.blanksAndLines();
        }
    }

    private Map<String, Object> header(boolean isArray) {
        var path = keys();
        in.expect(isArray ? "]]" : "]");
        var parent = tableAt(root, path.subList(0, path.size() - 1));
        var name = path.get(path.size() - 1);
        if (isArray) {
            var items = items(parent.computeIfAbsent(name, absent -> new TableArray()));
            var table = new LinkedHashMap<String, Object>();
            items.add(table);
            return table;
        }
        var table = table(parent.computeIfAbsent(name, absent -> new LinkedHashMap<String, Object>()));
        close(table);
        return table;
    }

    private void pair(Map<String, Object> table) {
        var path = keys();
        in.expect("=");
        in.blanks();
        var parent = tableAt(table, path.subList(0, path.size() - 1));
        var value = value();
        if (isClosed(parent) && parent != table || parent.putIfAbsent(path.get(path.size() - 1), value) != null) {
            throw in.error();
        }
    }

    private List<String> keys() {
        var keys = new ArrayList<String>();
        do {
            in.blanks();
            keys.add(in.key());
            in.blanks();
        } while (in.skip("."));
        return keys;
    }

    private Object value() {
        if (in.isNext('"') || in.isNext('\'')) {
            return in.text();
        }
        if (in.skip("[")) {
            return array();
        }
        if (in.skip("{")) {
            return inlineTable();
        }
        var written = in.bare();
        if (!BARE_VALUE.matcher(written).matches()) {
            throw in.error();
        }
        return new Other(written);
    }

    private List<Object> array() {
        var items = new ArrayList<Object>();
        in.blanksAndLines();
        while (!in.skip("]")) {
            items.add(value());
            in.blanksAndLines();
            if (!in.skip(",") && !in.isNext(']')) {
                throw in.error();
            }
            in.blanksAndLines();
        }
        return items;
    }

    private Map<String, Object> inlineTable() {
        var table = new LinkedHashMap<String, Object>();
        in.blanks();
        if (!in.skip("}")) {
            do {
                pair(table);
                in.blanks();
            } while (in.skip(","));
            in.expect("}");
        }
        close(table);
        return table;
    }

    /** The table below {@code table} at a path; what is not there is made. */
    private Map<String, Object> tableAt(Map<String, Object> table, List<String> path) {
        var found = table;
        for (var name : path) {
            var next = found.computeIfAbsent(name, absent -> new LinkedHashMap<String, Object>());
            // Of an array of tables, the last one.
            found = next instanceof TableArray items ? table(items.get(items.size() - 1)) : table(next);
        }
        return found;
    }

    @SuppressWarnings("unchecked")
    private Map<String, Object> table(Object value) {
        if (value instanceof Map<?, ?> map) {
            return (Map<String, Object>) map;
        }
        throw in.error();
    }

    private TableArray items(Object value) {
        if (value instanceof TableArray items) {
            return items;
        }
        throw in.error();
    }

    private void close(Map<String, Object> table) {
        if (isClosed(table)) {
            throw in.error();
        }
        closed.add(table);
    }

    private boolean isClosed(Map<String, Object> table) {
        return closed.stream().anyMatch(each -> each == table);
    }

    /** An array of tables that headers make; one in brackets is closed. */
    private static final class TableArray extends ArrayList<Object> {}
}
