package dev.promptledger.client.internal;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.promptledger.client.internal.steps.Hashes;
import dev.promptledger.v1.PromptChange;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * The file of a cache: a line that says what it is, its hash, a hash of what it is kept of, the time at which the cache was current,
 * and the states, each behind its length. It is written whole or not at all, and readable for its owner alone.
 */
final class CacheFile {
    private static final byte[] HEAD = "prompt-ledger java cache 1\n".getBytes(StandardCharsets.US_ASCII);
    private static final int HASH = 32;
    /** In bytes; what is larger is neither written nor read. */
    static final long LARGEST = 256L * 1024 * 1024;

    private static final Set<PosixFilePermission> WRITABLE_BY_OTHERS =
            Set.of(PosixFilePermission.GROUP_WRITE, PosixFilePermission.OTHERS_WRITE);
    /** The name of this process's user; null where the system does not tell it. */
    private static final String USER = ProcessHandle.current().info().user().orElse(null);

    private final Path path;
    private final byte[] source;
    private final long largest;

    /**
     * {@code source}: of which ledger, key, project, prefix and names it is. A key cannot be found from the hash: it is long and
     * random.
     */
    CacheFile(Path path, List<String> source) {
        this(path, source, LARGEST);
    }

    CacheFile(Path path, List<String> source, long largest) {
        this.path = path;
        this.largest = largest;
        var hash = Hashes.sha256();
        for (var part : source) {
            var bytes = part.getBytes(StandardCharsets.UTF_8);
            hash.update(ByteBuffer.allocate(Integer.BYTES).putInt(0, bytes.length));
            hash.update(bytes);
        }
        this.source = hash.digest();
    }

    /** What a file had. */
    record Kept(Instant at, List<PromptChange> states) {}

    /** Empty where there is no file; an {@link IOException} where it is not what such a cache has written. */
    Optional<Kept> read() throws IOException {
        byte[] content;
        try {
            if (!isOwn()) {
                throw new IOException("it is no file, or belongs to or can be written by another user");
            }
            if (Files.size(path) > largest) {
                throw new IOException("it is larger than any that is written");
            }
            content = Files.readAllBytes(path);
        } catch (NoSuchFileException missing) {
            return Optional.empty();
        }
        try (var in = new DataInputStream(new ByteArrayInputStream(content))) {
            var head = in.readNBytes(HEAD.length);
            var hash = in.readNBytes(HASH);
            var body = Hashes.sha256();
            body.update(content, Math.min(HEAD.length + HASH, content.length), in.available());
            if (!MessageDigest.isEqual(head, HEAD) || !MessageDigest.isEqual(hash, body.digest())) {
                throw new IOException("it is damaged, or no file of a cache");
            }
            if (!MessageDigest.isEqual(in.readNBytes(HASH), source)) {
                throw new IOException("it is of another ledger, project, key or selection");
            }
            var at = Instant.ofEpochSecond(in.readLong(), in.readInt());
            var states = new ArrayList<PromptChange>();
            while (in.available() > 0) {
                states.add(PromptChange.parseFrom(in.readNBytes(in.readInt())));
            }
            return Optional.of(new Kept(at, states));
        } catch (InvalidProtocolBufferException | EOFException | IllegalArgumentException unreadable) {
            throw new IOException("it is damaged", unreadable);
        }
    }

    /** Whether nobody else may say what it holds: that is served as the prompts of the ledger. */
    private boolean isOwn() throws IOException {
        if (!path.getFileSystem().supportedFileAttributeViews().contains("posix")) {
            return !Files.exists(path) || Files.isRegularFile(path);
        }
        var about = Files.readAttributes(path, PosixFileAttributes.class);
        return about.isRegularFile()
                && about.permissions().stream().noneMatch(WRITABLE_BY_OTHERS::contains)
                && (USER == null || USER.equals(about.owner().getName()));
    }

    void write(Instant at, Collection<PromptChange> states) throws IOException {
        var target = path.toAbsolutePath();
        Files.createDirectories(target.getParent());
        // Made readable for its owner alone.
        var written = Files.createTempFile(target.getParent(), "." + target.getFileName() + ".", "");
        try {
            try (var file = FileChannel.open(written, StandardOpenOption.WRITE)) {
                var hash = Hashes.sha256();
                file.position(HEAD.length + HASH);
                var bounded = new Bounded(Channels.newOutputStream(file), largest - HEAD.length - HASH);
                try (var out = new DataOutputStream(new DigestOutputStream(bounded, hash))) {
                    out.write(source);
                    out.writeLong(at.getEpochSecond());
                    out.writeInt(at.getNano());
                    for (var state : states) {
                        out.writeInt(state.getSerializedSize());
                        out.write(bytes(state));
                    }
                    out.flush();
                    var head = ByteBuffer.allocate(HEAD.length + HASH).put(HEAD).put(hash.digest());
                    file.write(head.flip(), 0);
                    file.force(true);
                }
            }
            Files.move(written, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(written);
        }
    }

    private static byte[] bytes(PromptChange state) throws IOException {
        var bytes = new byte[state.getSerializedSize()];
        var out = CodedOutputStream.newInstance(bytes);
        // Maps in one order, so that the same states make the same file.
        out.useDeterministicSerialization();
        state.writeTo(out);
        out.flush();
        return bytes;
    }

    /** Refuses more bytes than it is given. */
    private static final class Bounded extends FilterOutputStream {
        private long left;

        private Bounded(OutputStream out, long most) {
            super(out);
            this.left = most;
        }

        @Override
        public void write(int each) throws IOException {
            write(new byte[] {(byte) each}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            left -= length;
            if (left < 0) {
                throw new IOException("the prompts take more than a file may have");
            }
            out.write(bytes, offset, length);
        }
    }
}
