package dev.promptledger.client;

import dev.promptledger.client.internal.steps.Hashes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Where prompts in code come from: a class, a map, or a folder of files. A list is made of {@link CodePrompt}s. */
public final class CodePrompts {
    private static final Set<String> TEMPLATES = Set.of("hbs", "md", "txt");
    private static final Set<String> OPAQUE = Set.of("j2", "jinja");

    private CodePrompts() {}

    /** Each static text of a class or an interface that is not private is a prompt of that name. */
    public static List<CodePrompt> of(Class<?> source) {
        return Arrays.stream(source.getDeclaredFields())
                .filter(CodePrompts::isPrompt)
                .map(field -> CodePrompt.of(field.getName(), text(field)))
                .toList();
    }

    private static boolean isPrompt(Field field) {
        var modifiers = field.getModifiers();
        return field.getType() == String.class
                && Modifier.isStatic(modifiers)
                && !Modifier.isPrivate(modifiers)
                && !field.isSynthetic();
    }

    private static String text(Field field) {
        try {
            // The field may be open to its package alone.
            field.trySetAccessible();
            return (String) field.get(null);
        } catch (IllegalAccessException closed) {
            throw new IllegalArgumentException(field + " cannot be read", closed);
        }
    }

    /** From names to texts. */
    public static List<CodePrompt> of(Map<String, String> templates) {
        return templates.entrySet().stream()
                .map(entry -> CodePrompt.of(entry.getKey(), entry.getValue()))
                .toList();
    }

    /**
     * The files of a folder: {@code shop/greeting.hbs} is the prompt {@code shop.greeting}. Files end in {@code .hbs}, {@code .md}
     * or {@code .txt} (templates), or {@code .j2} or {@code .jinja} (opaque texts); others are passed over.
     */
    public static List<CodePrompt> inFolder(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new UncheckedIOException(new NotDirectoryException(folder + " is no folder of prompts"));
        }
        try (var paths = Files.walk(folder)) {
            var prompts = new ArrayList<CodePrompt>();
            for (var path : (Iterable<Path>) paths.filter(Files::isRegularFile).sorted()::iterator) {
                var ending = ending(path);
                if (TEMPLATES.contains(ending) || OPAQUE.contains(ending)) {
                    prompts.add(file(folder, path, OPAQUE.contains(ending)));
                }
            }
            return List.copyOf(prompts);
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static CodePrompt file(Path folder, Path path, boolean isOpaque) throws IOException {
        var inside =
                folder.relativize(path).toString().replace(path.getFileSystem().getSeparator(), "/");
        var name = inside.substring(0, inside.lastIndexOf('.')).replace('/', '.');
        // As it is: line ends are part of the content.
        var prompt = CodePrompt.of(name, Files.readString(path)).path(inside);
        return isOpaque ? prompt.opaque() : prompt;
    }

    private static String ending(Path path) {
        var name = path.getFileName().toString();
        return name.substring(name.lastIndexOf('.') + 1);
    }

    /** The hash of a text, as {@link CodePrompt#templateHash} takes it. */
    public static String templateHash(String template) {
        return HexFormat.of().formatHex(Hashes.sha256().digest(template.getBytes(StandardCharsets.UTF_8)));
    }
}
