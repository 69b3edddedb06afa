package promptledger

import (
	"encoding/json"
	"fmt"
	"strings"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Content is what a version of a prompt has: a [Template] or a [Chat].
type Content interface{ isContent() }

// Template is a text with variables, {{name}}.
type Template string

// Chat is a list of messages, whose texts are templates, and of places where messages are to be inserted.
type Chat []ChatEntry

func (Template) isContent() {}
func (Chat) isContent()     {}

// ChatEntry is a [Message] or a [Placeholder].
type ChatEntry interface{ isChatEntry() }

// Placeholder is the name of a variable that has messages.
type Placeholder string

// Message is one message of a chat.
type Message struct {
	// Role says who speaks: "system", "developer", "user", "assistant" or "tool".
	Role string
	// Content is what is said, as plain text; Parts is for what is more than one text.
	Content string
	Parts   []Part
	// Name says who of several that share the role speaks. Empty: not sent.
	Name string
	// ToolCalls are those that the model asked for, in a message of an assistant.
	ToolCalls []ToolCall
	// ToolCallID is the call that a message of a tool answers.
	ToolCallID string
}

func (Placeholder) isChatEntry() {}
func (Message) isChatEntry()     {}

// Part is a piece of a message: a [TextPart] or an [ImagePart].
type Part interface{ isPart() }

// TextPart is a text.
type TextPart string

// ImagePart is an image, by its URL or by its bytes.
type ImagePart struct {
	URL  string
	Data []byte
	// MediaType is that of Data, such as "image/png".
	MediaType string
	Detail    string
}

func (TextPart) isPart()  {}
func (ImagePart) isPart() {}

func (c Chat) message() *pb.ChatTemplate {
	chat := &pb.ChatTemplate{}
	for _, entry := range c {
		written := &pb.ChatTemplateEntry{}
		switch entry := entry.(type) {
		case Message:
			written.Entry = &pb.ChatTemplateEntry_Message{Message: entry.message()}
		case Placeholder:
			written.Entry = &pb.ChatTemplateEntry_Placeholder{Placeholder: string(entry)}
		}
		chat.Entries = append(chat.Entries, written)
	}
	return chat
}

func (m Message) message() *pb.ChatMessage {
	message := &pb.ChatMessage{Role: m.Role, Content: m.Content, Name: m.Name, ToolCallId: m.ToolCallID}
	for _, part := range m.Parts {
		written := &pb.ContentPart{}
		switch part := part.(type) {
		case TextPart:
			written.Part = &pb.ContentPart_Text{Text: string(part)}
		case ImagePart:
			image := &pb.ImagePart{MediaType: part.MediaType, Detail: part.Detail}
			if part.Data != nil {
				image.Source = &pb.ImagePart_Data{Data: part.Data}
			} else {
				image.Source = &pb.ImagePart_Url{Url: part.URL}
			}
			written.Part = &pb.ContentPart_Image{Image: image}
		}
		message.Parts = append(message.Parts, written)
	}
	for _, call := range m.ToolCalls {
		message.ToolCalls = append(message.ToolCalls, &pb.ToolCall{Id: call.ID, Name: call.Name, Arguments: call.Arguments})
	}
	return message
}

// Params are parameters for the model. What is absent is not sent.
type Params struct {
	Temperature       *float64
	TopK              *int32
	TopP              *float64
	RepetitionPenalty *float64
	MaxNewTokens      *int32
	// Stop are texts at which the model stops writing. Nil: none is sent. Empty, and not nil: the version's are not sent.
	Stop             []string
	Seed             *int64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	ReasoningEffort  *string
	// Extra is anything else of the provider's request body.
	Extra map[string]any
}

func (p Params) message(field string) (*pb.ModelParams, error) {
	params := &pb.ModelParams{
		Temperature:       p.Temperature,
		TopK:              p.TopK,
		TopP:              p.TopP,
		RepetitionPenalty: p.RepetitionPenalty,
		MaxNewTokens:      p.MaxNewTokens,
		Seed:              p.Seed,
		FrequencyPenalty:  p.FrequencyPenalty,
		PresencePenalty:   p.PresencePenalty,
		ReasoningEffort:   p.ReasoningEffort,
	}
	if p.Stop != nil {
		params.Stop = &pb.StopSequences{Values: p.Stop}
	}
	if p.Extra != nil {
		extra, err := asStruct(p.Extra, field+".extra")
		if err != nil {
			return nil, err
		}
		params.Extra = extra
	}
	return params, nil
}

// Tool is a tool that the model may call.
type Tool struct {
	Name        string
	Description string
	// Parameters is a JSON Schema: its text, as a string or a [json.RawMessage], or a value that encodes to it.
	Parameters any
	Strict     bool
}

func (t Tool) message(field string) (*pb.Tool, error) {
	parameters, err := asJSON(t.Parameters, field+".parameters")
	if err != nil {
		return nil, err
	}
	return &pb.Tool{Name: t.Name, Description: t.Description, ParametersJson: parameters, Strict: t.Strict}, nil
}

func toolMessages(tools []Tool, field string) ([]*pb.Tool, error) {
	var messages []*pb.Tool
	for i, tool := range tools {
		message, err := tool.message(fmt.Sprintf("%s[%d]", field, i))
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	return messages, nil
}

// ToolChoiceMode says whether a model is to call tools.
type ToolChoiceMode string

// Whether a model is to call tools: as it likes, never, or at least one.
const (
	ToolsAuto     ToolChoiceMode = "auto"
	ToolsNone     ToolChoiceMode = "none"
	ToolsRequired ToolChoiceMode = "required"
)

// ToolChoice says which tools the model is to call: by Mode, or the one of that Name.
type ToolChoice struct {
	Mode ToolChoiceMode
	Name string
	// Parallel says whether several may be called at once. Absent: as the provider likes.
	Parallel *bool
}

func (c ToolChoice) message(field string) (*pb.ToolChoice, error) {
	choice := &pb.ToolChoice{Parallel: c.Parallel}
	switch {
	case c.Name != "":
		choice.Choice = &pb.ToolChoice_Name{Name: c.Name}
	case c.Mode != "":
		mode, err := toolChoiceWords.number(field+".mode", c.Mode)
		if err != nil {
			return nil, err
		}
		choice.Choice = &pb.ToolChoice_Mode{Mode: mode}
	}
	return choice, nil
}

// ResponseFormat is the form of the answer: a JSON object, or one of a schema.
type ResponseFormat struct {
	// Name and Schema are those of a JSON Schema, in any form that [Tool] takes one. Nil: any JSON object.
	Name   string
	Schema any
	Strict bool
}

// JSONObject asks for a JSON object, whatever is in it.
func JSONObject() ResponseFormat { return ResponseFormat{} }

func (f ResponseFormat) message(field string) (*pb.ResponseFormat, error) {
	if f.Schema == nil {
		return &pb.ResponseFormat{Format: &pb.ResponseFormat_JsonObject{JsonObject: &pb.JsonObject{}}}, nil
	}
	schema, err := asJSON(f.Schema, field+".schema")
	if err != nil {
		return nil, err
	}
	written := &pb.JsonSchema{Name: f.Name, SchemaJson: schema, Strict: f.Strict}
	return &pb.ResponseFormat{Format: &pb.ResponseFormat_JsonSchema{JsonSchema: written}}, nil
}

// Config is what a content was tuned with; it is a part of the content. What is absent is left to each execution.
type Config struct {
	// Model is "provider/model_name".
	Model          string
	Params         *Params
	Tools          []Tool
	ToolChoice     *ToolChoice
	ResponseFormat *ResponseFormat
	// Custom is yours.
	Custom map[string]any
}

func (c Config) message() (config *pb.VersionConfig, err error) {
	config = &pb.VersionConfig{}
	if c.Model != "" {
		if config.Model, err = modelMessage(c.Model, "config.model"); err != nil {
			return nil, err
		}
	}
	if c.Params != nil {
		if config.Params, err = c.Params.message("config.params"); err != nil {
			return nil, err
		}
	}
	if config.Tools, err = toolMessages(c.Tools, "config.tools"); err != nil {
		return nil, err
	}
	if c.ToolChoice != nil {
		if config.ToolChoice, err = c.ToolChoice.message("config.tool_choice"); err != nil {
			return nil, err
		}
	}
	if c.ResponseFormat != nil {
		if config.ResponseFormat, err = c.ResponseFormat.message("config.response_format"); err != nil {
			return nil, err
		}
	}
	if c.Custom != nil {
		if config.Custom, err = asStruct(c.Custom, "config.custom"); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// modelMessage reads "provider/model_name".
func modelMessage(model, field string) (*pb.ModelRef, error) {
	provider, name, ok := strings.Cut(model, "/")
	if !ok {
		return nil, invalidField(field, "%q is no PROVIDER/MODEL, such as openai/gpt-4o-mini", model)
	}
	return &pb.ModelRef{Provider: provider, ModelName: name}, nil
}

// asJSON returns the JSON text of a value; a text stands as it is.
func asJSON(value any, field string) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case json.RawMessage:
		return string(value), nil
	default:
		text, err := json.Marshal(value)
		if err != nil {
			return "", invalidField(field, "%v", err)
		}
		return string(text), nil
	}
}
