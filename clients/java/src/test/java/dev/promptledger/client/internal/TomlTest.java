package dev.promptledger.client.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.promptledger.client.internal.Toml.SyntaxException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tomlj.TomlArray;
import org.tomlj.TomlTable;

/** Compared with another reader, which is whole. */
class TomlTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "# nothing\n\n  # more\r\n",
                "[profiles.default]\nserver = \"https://a\"\napi_key = 'pl_x'\n",
                "[profiles]\ndefault.server = \"a\"\ndefault.api_key = \"b\"",
                "[profiles.\"a b\"]\nserver=\"\"\n[profiles.'c']\n\"server\" = ''",
                "profiles = { default = { server = \"a\", api_key = 'b' }, other = {} } # end",
                "a = \"\\b\\t\\n\\f\\r\\\"\\\\\\u00e4\\U0001F600\"",
                "a = \"\"\"\none\n  two \\\n   \n   three\"\"\"\nb = '''\nit's\\n'''",
                "a = \"\"\"\"quoted\"\"\"\"\"\nb = ''''x''''",
                "a = 1\nb = -1_000\nc = 1.5e3\nd = true\ne = 1979-05-27T07:32:00Z\nf = 0xff\ng = +0.5\nh = 1e6",
                "a = 1979-05-27 07:32:00.5\nb = 07:32:00\nc = 1979-05-27\n",
                "a = [1, 2, 3,]\nb = [\n  \"x\", # first\n  'y'\n]\nc = [[], [{}]]",
                "[[a]]\nx = 'one'\n[[a]]\nx = 'two'\n[a.b]\ny = 'z'\n",
                "[a.b.c]\nx = '1'\n[a]\ny = '2'\n",
                "1234 = \"a\"\nb-c_D = \"e\"\n",
                "a.b = 'x'\na.c = 'y'",
            })
    void whatIsTomlIsRead(String text) {
        var expected = org.tomlj.Toml.parse(text);
        assertTrue(expected.errors().isEmpty(), expected.errors().toString());
        assertEquals(texts(expected), texts(Toml.parse(text)));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "server",
                "server =",
                "server = https",
                "server = \"a",
                "server = 'a\nb'",
                "server = \"a\" api_key = \"b\"",
                "server = \"\\x\"",
                "server = \"\\ud800\"",
                "server = \"\u0001\"",
                "[profiles",
                "[profiles.]",
                "[]",
                "[a]\n[a]",
                "a = 'x'\na = 'y'",
                "a = 'x'\n[a.b]",
                "a = {b = 'x'}\n[a.c]\nd = 'y'\n[a]",
                "a = [1 2]",
                "a = [1",
                "a = {b = 'x',}",
                "a = 01",
                "a = 1__0",
                "a = []\n[[a]]",
                "\"\"\"a\"\"\" = 1",
                "a = 1 # \u0000",
            })
    void whatIsNoneIsRefused(String text) {
        assertTrue(org.tomlj.Toml.parse(text).hasErrors(), "the other reader takes it");
        assertThrows(SyntaxException.class, () -> Toml.parse(text));
    }

    @ParameterizedTest
    @ValueSource(strings = {"a = \"\\u12\"", "a = \"\\u", "a = \"\\", "a = \"\"\"\\ x\"\"\"", "a = \"\\\n\""})
    void anEscapeIsWhole(String text) {
        assertThrows(SyntaxException.class, () -> Toml.parse(text));
    }

    @Test
    void linesMayEndAsOnWindows() {
        var read = Toml.parse("\uFEFF[a]\r\nb = \"\"\"\r\none\r\n\"\"\" # end\r\nc = \"\"\"\\\r\n  two\"\"\"\r\n");
        assertEquals(Map.of("a", Map.of("b", "one\r\n", "c", "two")), read);
    }

    @Test
    void theLineOfAnErrorIsTold() {
        var error = assertThrows(SyntaxException.class, () -> Toml.parse("a = 1\n\n[b]\nkey = pl_secret"));
        assertEquals(4, error.line());
        assertEquals("at line 4", error.getMessage());
    }

    /** Tables, lists and texts; all else as one word. */
    private static Object texts(Object value) {
        if (value instanceof TomlTable table) {
            var map = new LinkedHashMap<String, Object>();
            table.keySet().forEach(key -> map.put(key, texts(table.get(List.of(key)))));
            return map;
        } else if (value instanceof TomlArray array) {
            return texts(array.toList());
        } else if (value instanceof Map<?, ?> table) {
            var map = new LinkedHashMap<Object, Object>();
            table.forEach((key, each) -> map.put(key, texts(each)));
            return map;
        } else if (value instanceof List<?> list) {
            var items = new ArrayList<Object>();
            list.forEach(each -> items.add(texts(each)));
            return items;
        }
        return value instanceof String ? value : "no text";
    }
}
