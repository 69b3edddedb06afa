package promptledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// codeContent is what a content in code and a stored one have in common.
type codeContent interface {
	GetTemplateSource() string
	GetChatTemplate() *pb.ChatTemplate
	GetConfig() *pb.VersionConfig
}

// codeDifference is a unified diff of the stored content and that in code. before is absent where nothing is stored.
func codeDifference(prompt *pb.CodePrompt, action Action, before *pb.PromptVersion) string {
	from, old := "/dev/null", []string(nil)
	if before != nil {
		from = fmt.Sprintf("%s (version %d)", prompt.GetName(), before.GetVersionNumber())
		old = contentLines(before)
	}
	return unifiedDiff(from, fmt.Sprintf("%s (code, %s)", prompt.GetName(), action), old, contentLines(prompt))
}

// contentLines is a content as people read it.
func contentLines(content codeContent) []string {
	var text strings.Builder
	text.WriteString(content.GetTemplateSource())
	for _, entry := range content.GetChatTemplate().GetEntries() {
		if message := entry.GetMessage(); message != nil {
			text.WriteString(readable(message))
		} else {
			text.WriteString("placeholder: " + entry.GetPlaceholder() + "\n")
		}
	}
	if content.GetConfig() != nil {
		if !strings.HasSuffix(text.String(), "\n") {
			text.WriteByte('\n')
		}
		text.WriteString("config: " + readable(content.GetConfig()))
	}
	return slices.Collect(strings.Lines(text.String()))
}

func readable(message proto.Message) string {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return err.Error() + "\n"
	}
	// protojson varies its blanks on purpose.
	var fields any
	if json.Unmarshal(text, &fields) == nil {
		text, _ = json.MarshalIndent(fields, "", "  ")
	}
	return string(text) + "\n"
}

// Lines of context around a change.
const diffContext = 3

// edit is a line that is kept (' '), dropped ('-') or added ('+').
type edit struct {
	kind byte
	line string
}

// unifiedDiff is the difference of two texts in lines, as `diff -u` shows it. Empty: they are equal.
func unifiedDiff(from, to string, before, after []string) string {
	edits := lineEdits(before, after)
	var diff strings.Builder
	for start := 0; start < len(edits); {
		first := start
		for first < len(edits) && edits[first].kind == ' ' {
			first++
		}
		if first == len(edits) {
			break
		}
		begin := max(start, first-diffContext)
		end := hunkEnd(edits, first)
		if diff.Len() == 0 {
			fmt.Fprintf(&diff, "--- %s\n+++ %s\n", from, to)
		}
		writeHunk(&diff, edits, begin, end)
		start = end
	}
	return diff.String()
}

// hunkEnd returns where the lines end that are shown with a change at first: where more than twice the context is kept.
func hunkEnd(edits []edit, first int) int {
	last := first
	for i := first; i < len(edits) && i-last <= 2*diffContext; i++ {
		if edits[i].kind != ' ' {
			last = i
		}
	}
	return min(last+1+diffContext, len(edits))
}

func writeHunk(diff *strings.Builder, edits []edit, begin, end int) {
	var skipped, within [2]int
	for i, each := range edits[:end] {
		counts := &skipped
		if i >= begin {
			counts = &within
		}
		if each.kind != '+' {
			counts[0]++
		}
		if each.kind != '-' {
			counts[1]++
		}
	}
	fmt.Fprintf(diff, "@@ -%s +%s @@\n", hunkRange(skipped[0], within[0]), hunkRange(skipped[1], within[1]))
	for _, each := range edits[begin:end] {
		diff.WriteByte(each.kind)
		diff.WriteString(each.line)
		if !strings.HasSuffix(each.line, "\n") {
			diff.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

func hunkRange(skipped, count int) string {
	if count == 0 {
		return fmt.Sprintf("%d,0", skipped)
	}
	if count == 1 {
		return fmt.Sprint(skipped + 1)
	}
	return fmt.Sprintf("%d,%d", skipped+1, count)
}

// Above so many pairs of lines, what differs is shown as a whole.
const mostPairs = 4_000_000

// lineEdits is a shortest way from one text to the other.
func lineEdits(before, after []string) []edit {
	var edits, tail []edit
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		edits = append(edits, edit{' ', before[0]})
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		tail = append(tail, edit{' ', before[len(before)-1]})
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	edits = append(edits, middleEdits(before, after)...)
	for i := len(tail) - 1; i >= 0; i-- {
		edits = append(edits, tail[i])
	}
	return edits
}

func middleEdits(before, after []string) []edit {
	var edits []edit
	common := func(int, int) int { return 0 }
	if len(before)*len(after) <= mostPairs {
		common = commonLines(before, after)
	}
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		switch {
		case i < len(before) && j < len(after) && before[i] == after[j]:
			edits = append(edits, edit{' ', before[i]})
			i, j = i+1, j+1
		case i < len(before) && (j == len(after) || common(i+1, j) >= common(i, j+1)):
			edits = append(edits, edit{'-', before[i]})
			i++
		default:
			edits = append(edits, edit{'+', after[j]})
			j++
		}
	}
	return edits
}

// commonLines returns how long a longest common sequence is of what is left from two places on.
func commonLines(before, after []string) func(i, j int) int {
	width := len(after) + 1
	longest := make([]int32, (len(before)+1)*width)
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			if before[i] == after[j] {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	return func(i, j int) int { return int(longest[i*width+j]) }
}
