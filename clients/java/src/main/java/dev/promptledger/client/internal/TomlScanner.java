package dev.promptledger.client.internal;

/** The pieces of a TOML text: keys, texts, blanks and comments. */
final class TomlScanner {
    private final String text;
    private int at;

    TomlScanner(String text) {
        this.text = text.startsWith("\uFEFF") ? text.substring(1) : text;
    }

    boolean atEnd() {
        return at >= text.length();
    }

    boolean isNext(char expected) {
        return at < text.length() && text.charAt(at) == expected;
    }

    boolean skip(String expected) {
        if (!text.startsWith(expected, at)) {
            return false;
        }
        at += expected.length();
        return true;
    }

    void expect(String expected) {
        if (!skip(expected)) {
            throw error();
        }
    }

    Toml.SyntaxException error() {
        var before = text.substring(0, Math.min(at, text.length()));
        return new Toml.SyntaxException(
                1 + (int) before.chars().filter(each -> each == '\n').count());
    }

    void blanks() {
        while (isNext(' ') || isNext('\t')) {
            at++;
        }
    }

    void blanksAndLines() {
        while (true) {
            blanks();
            comment();
            if (!skip("\n") && !skip("\r\n")) {
                return;
            }
        }
    }

    void endOfLine() {
        blanks();
        comment();
        if (!atEnd() && !skip("\n") && !skip("\r\n")) {
            throw error();
        }
    }

    private void comment() {
        if (isNext('#')) {
            while (!atEnd() && !isNext('\n') && !text.startsWith("\r\n", at)) {
                plain(false);
            }
        }
    }

    /** A key, or one part of it. */
    String key() {
        if (isNext('"') || isNext('\'')) {
            if (text.startsWith("\"\"\"", at) || text.startsWith("'''", at)) {
                throw error();
            }
            return text();
        }
        var begin = at;
        while (!atEnd() && isOfBareKey(text.charAt(at))) {
            at++;
        }
        if (begin == at) {
            throw error();
        }
        return text.substring(begin, at);
    }

    private static boolean isOfBareKey(char each) {
        return each >= 'a' && each <= 'z'
                || each >= 'A' && each <= 'Z'
                || each >= '0' && each <= '9'
                || each == '_'
                || each == '-';
    }

    /** What stands there up to a blank, a comma, a bracket or the end of the line; a date and its time may have a blank between. */
    String bare() {
        var begin = at;
        while (!atEnd() && " \t\r\n,]}#".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        var isDate = at - begin == 10 && text.charAt(begin + 4) == '-';
        if (isDate && at + 1 < text.length() && text.charAt(at) == ' ' && Character.isDigit(text.charAt(at + 1))) {
            at++;
            while (!atEnd() && " \t\r\n,]}#".indexOf(text.charAt(at)) < 0) {
                at++;
            }
        }
        return text.substring(begin, at);
    }

    /** A text, of one line or of several, literal or not. */
    String text() {
        var quote = text.substring(at, at + 1);
        var isLiteral = quote.equals("'");
        var isLong = skip(quote.repeat(3));
        if (isLong) {
            if (!skip("\n")) {
                skip("\r\n");
            }
        } else {
            at++;
        }
        var end = isLong ? quote.repeat(3) : quote;
        var result = new StringBuilder();
        while (!skip(end)) {
            if (atEnd()) {
                throw error();
            }
            if (!isLiteral && skip("\\")) {
                escape(result, isLong);
            } else {
                result.append(plain(isLong));
            }
        }
        // One or two more quotes at the end belong to the text.
        for (var more = 0; isLong && more < 2 && skip(quote); more++) {
            result.append(quote);
        }
        return result.toString();
    }

    /** The next character, which stands for itself. Control characters are none, but tabs, and line ends in long texts. */
    private String plain(boolean isLong) {
        var length = text.startsWith("\r\n", at) ? 2 : 1;
        var each = text.charAt(at + length - 1);
        var isControl = each < 0x20 && each != '\t' || each == 0x7f;
        if (isControl && !(isLong && each == '\n')) {
            throw error();
        }
        at += length;
        return text.substring(at - length, at);
    }

    private void escape(StringBuilder result, boolean isLong) {
        if (atEnd()) {
            throw error();
        }
        var each = text.charAt(at++);
        switch (each) {
            case 'b' -> result.append('\b');
            case 't' -> result.append('\t');
            case 'n' -> result.append('\n');
            case 'f' -> result.append('\f');
            case 'r' -> result.append('\r');
            case '"', '\\' -> result.append(each);
            case 'u' -> unicode(result, 4);
            case 'U' -> unicode(result, 8);
            default -> {
                at--;
                lineEnd(isLong);
            }
        }
    }

    private void unicode(StringBuilder result, int digits) {
        try {
            var code = Integer.parseUnsignedInt(text.substring(at, at + digits), 16);
            if (!Character.isValidCodePoint(code) || code >= 0xd800 && code < 0xe000) {
                throw error();
            }
            result.appendCodePoint(code);
            at += digits;
        } catch (NumberFormatException | StringIndexOutOfBoundsException noNumber) {
            throw error();
        }
    }

    /** A backslash at the end of a line of a long text: what follows is trimmed. */
    private void lineEnd(boolean isLong) {
        blanks();
        if (!isLong || !(isNext('\n') || text.startsWith("\r\n", at))) {
            throw error();
        }
        do {
            blanks();
        } while (skip("\n") || skip("\r\n"));
    }
}
