use super::*;
use prompt_ledger_proto::v1;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

const VALUES: &[Bound] = &[Bound { path: &[1, 6], name: "spec.variables", most: Most::Values }];
const MESSAGES: &[Bound] = &[Bound { path: &[1, 7], name: "spec.messages", most: Most::Entries(3) }];

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn list(values: Vec<Value>) -> Value {
    value(Kind::ListValue(ListValue { values }))
}

fn object(field: Value) -> Struct {
    Struct { fields: [("a".to_owned(), field)].into() }
}

fn run(variable: Value) -> Vec<u8> {
    let spec = v1::ExecutionSpec { variables: Some(object(variable)), ..v1::ExecutionSpec::default() };
    v1::RunExecutionRequest { spec: Some(spec) }.encode_to_vec()
}

fn said(result: Result<usize>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn values_are_counted_at_any_depth() {
    // The list itself counts as a value.
    let most = limits::VARIABLES_VALUES - 1;
    let numbers = |count| run(list(vec![value(Kind::NumberValue(1.0)); count]));
    assert_eq!(check(&numbers(most), VALUES).unwrap(), limits::VARIABLES_VALUES * VALUE_BYTES + 2 * CONTAINER_BYTES);
    let refused =
        "INVALID_FIELD: spec.variables: holds more than 100000 values; send fewer, or one text instead of many";
    assert_eq!(said(check(&numbers(most + 1), VALUES)), refused);
    let nested = list(vec![list(vec![Value::default(); most / 2]); 2]);
    check(&run(nested), VALUES).unwrap_err();
    check(&run(list(vec![list(vec![Value::default(); most / 2 - 1]); 2])), VALUES).unwrap();
}

#[test]
fn objects_and_lists_are_counted_together() {
    // The variables themselves and the outer list are containers too.
    let half = (limits::VARIABLES_CONTAINERS - 2) / 2;
    let both = |lists: usize| {
        let objects = vec![value(Kind::StructValue(object(Value::default()))); half];
        run(list([vec![list(vec![]); lists], objects].concat()))
    };
    check(&both(half), VALUES).unwrap();
    assert!(said(check(&both(half + 1), VALUES)).contains("more than 10000 objects and lists"));
}

#[test]
fn what_is_as_deep_as_allowed_also_decodes_and_one_level_more_is_refused() {
    let lists = |levels: usize| (1..levels).fold(Value::default(), |inner, _| list(vec![inner]));
    let objects =
        |levels: usize| (1..levels).fold(Value::default(), |inner, _| value(Kind::StructValue(object(inner))));
    for nested in [lists, objects] as [fn(usize) -> Value; 2] {
        let deepest = run(nested(limits::VARIABLES_DEPTH));
        check(&deepest, VALUES).unwrap();
        v1::RunExecutionRequest::decode(&*deepest).unwrap();
        let deeper = check(&run(nested(limits::VARIABLES_DEPTH + 1)), VALUES);
        assert!(said(deeper).contains("more than 32 levels"));
    }
}

#[test]
fn entries_count_over_all_pieces_of_a_message_that_is_sent_in_pieces() {
    let piece = |messages| {
        let messages = vec![v1::ChatMessage::default(); messages];
        let prompt_name = "n".repeat(UNCOUNTED_BYTES);
        let spec = v1::ExecutionSpec { messages, prompt_name, ..v1::ExecutionSpec::default() };
        v1::RunExecutionRequest { spec: Some(spec) }.encode_to_vec()
    };
    check(&piece(3), MESSAGES).unwrap();
    check(&[piece(2), piece(1)].concat(), MESSAGES).unwrap();
    let in_pieces = [piece(2), piece(2)].concat();
    let decoded = v1::RunExecutionRequest::decode(&*in_pieces).unwrap();
    assert_eq!(decoded.spec.unwrap().messages.len(), 4, "a decoder joins them");
    let refused = "INVALID_FIELD: spec.messages: has more than 3 entries; send fewer at once";
    assert_eq!(said(check(&in_pieces, MESSAGES)), refused);
}

#[test]
fn entries_of_a_small_request_are_left_to_its_service() {
    let messages = vec![v1::ChatMessage::default(); 4];
    let spec = v1::ExecutionSpec { messages, ..v1::ExecutionSpec::default() };
    check(&v1::RunExecutionRequest { spec: Some(spec) }.encode_to_vec(), MESSAGES).unwrap();
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let mut message = run(list(vec![]));
    // One field of each wire type: varint, 8 bytes, 4 bytes, length-delimited, and a group with a varint.
    message.extend([0xa0, 0x06, 0x05]);
    message.extend([0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([0xa5, 0x06, 1, 2, 3, 4]);
    message.extend([0xa2, 0x06, 0x02, b'h', b'i']);
    message.extend([0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06]);
    check(&message, VALUES).unwrap();
    v1::RunExecutionRequest::decode(&*message).unwrap();
}

#[test]
fn what_does_not_decode_is_refused_wherever_it_is_cut() {
    let message = run(list(vec![value(Kind::StringValue("text".into())), value(Kind::BoolValue(true))]));
    for cut in 1..message.len() {
        let broken = &message[..cut];
        assert_eq!(check(broken, VALUES).is_ok(), v1::RunExecutionRequest::decode(broken).is_ok(), "cut at {cut}");
    }
    for broken in [&[0x07][..], &[0x00, 0x00], &[0x0c], &[0xff; 11], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert_eq!(said(check(broken, VALUES)), undecodable().to_string(), "{broken:?}");
    }
}
