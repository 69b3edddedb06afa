package promptledger

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// A cache's file has cacheMagic, 32 bytes that say what it is kept of, the milliseconds since 1970 at which nothing was missing
// (8 bytes, big-endian), each prompt as a PromptChange behind its length, and 32 bytes of SHA-256 over all before them.
const (
	cacheMagic = "prompt-ledger cache 1\n"
	// A larger file is neither read nor written: it is in memory while it is read.
	largestCacheFile = 256 * 1024 * 1024
)

var (
	errDamaged  = errors.New("it is damaged, or is another kind of file")
	errOfOthers = errors.New("it was kept of other prompts, of another project or server, or by another key")
	errTooLarge = errors.New("the prompts take more than 256 MiB")
	errForeign  = errors.New("it is no file, or belongs to or can be written by another user")
)

// cacheFile is where a cache keeps what it holds, for the next process to begin with.
type cacheFile struct {
	path string
	of   [sha256.Size]byte
	// The most bytes that it may take.
	most int64
}

// newCacheFile is the file of a cache of what the watch selects, at the server and in the project of these settings. A key that
// opens one project says itself which, so it is a part of what the file is kept of.
func newCacheFile(path string, s *settings, watch *pb.WatchPromptsRequest) (*cacheFile, error) {
	selected := &pb.WatchPromptsRequest{NamePrefix: watch.NamePrefix}
	// Neither their order nor a name that is given twice selects anything else.
	selected.Names = slices.Compact(slices.Sorted(slices.Values(watch.Names)))
	filter, err := proto.MarshalOptions{Deterministic: true}.Marshal(selected)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	for _, part := range [][]byte{[]byte(s.server), []byte(s.project), []byte(s.target.key()), filter} {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write(part)
	}
	return &cacheFile{path: path, of: [sha256.Size]byte(hash.Sum(nil)), most: largestCacheFile}, nil
}

// read returns what the file holds; nothing, and no error, where there is no file.
func (f *cacheFile) read() (states []*pb.PromptChange, currentAt time.Time, err error) {
	file, err := os.OpenFile(f.path, os.O_RDONLY|nonblocking, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	// What it holds is served as the prompts of the ledger: nobody else may say what that is.
	if !about.Mode().IsRegular() || !isOwn(about) {
		return nil, time.Time{}, errForeign
	}
	content, err := io.ReadAll(io.LimitReader(file, f.most+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	if int64(len(content)) > f.most {
		return nil, time.Time{}, errTooLarge
	}
	return f.parse(content)
}

func (f *cacheFile) parse(content []byte) (states []*pb.PromptChange, currentAt time.Time, err error) {
	const head = len(cacheMagic) + sha256.Size + 8
	if len(content) < head+sha256.Size {
		return nil, time.Time{}, errDamaged
	}
	content, hash := content[:len(content)-sha256.Size], content[len(content)-sha256.Size:]
	if found := sha256.Sum256(content); !bytes.Equal(found[:], hash) || string(content[:len(cacheMagic)]) != cacheMagic {
		return nil, time.Time{}, errDamaged
	}
	if !bytes.Equal(content[len(cacheMagic):head-8], f.of[:]) {
		return nil, time.Time{}, errOfOthers
	}
	currentAt = time.UnixMilli(int64(binary.BigEndian.Uint64(content[head-8 : head])))
	reader := bytes.NewReader(content[head:])
	// The file's own size bounds a state.
	options := protodelim.UnmarshalOptions{MaxSize: -1}
	for reader.Len() > 0 {
		state := &pb.PromptChange{}
		if err := options.UnmarshalFrom(reader, state); err != nil || state.Prompt == nil {
			return nil, time.Time{}, errDamaged
		}
		states = append(states, state)
	}
	return states, currentAt, nil
}

// write puts a file with these in its place, which only its owner may read. The earlier one stays until the new one is whole and
// on the disk.
func (f *cacheFile) write(prompts *heldPrompts, currentAt time.Time) (err error) {
	folder := filepath.Dir(f.path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	// Readable by its owner only.
	file, err := os.CreateTemp(folder, "."+filepath.Base(f.path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := errors.Join(f.writeTo(file, prompts, currentAt), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), f.path)
}

func (f *cacheFile) writeTo(file io.Writer, prompts *heldPrompts, currentAt time.Time) error {
	hash := sha256.New()
	buffered := bufio.NewWriter(file)
	to := &limitedWriter{to: io.MultiWriter(buffered, hash), left: f.most - sha256.Size}
	head := append([]byte(cacheMagic), f.of[:]...)
	head = binary.BigEndian.AppendUint64(head, uint64(currentAt.UnixMilli()))
	if _, err := to.Write(head); err != nil {
		return err
	}
	for _, name := range prompts.names() {
		held := prompts.get(name)
		if held == nil {
			continue
		}
		if _, err := protodelim.MarshalTo(to, held.state()); err != nil {
			return fmt.Errorf("the prompt %s: %w", name, err)
		}
	}
	if _, err := buffered.Write(hash.Sum(nil)); err != nil {
		return err
	}
	return buffered.Flush()
}

// limitedWriter fails where more is written than is left.
type limitedWriter struct {
	to   io.Writer
	left int64
}

func (w *limitedWriter) Write(content []byte) (int, error) {
	if w.left -= int64(len(content)); w.left < 0 {
		return 0, errTooLarge
	}
	return w.to.Write(content)
}
