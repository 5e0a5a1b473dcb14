use hostler_core::limits;
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::*;

fn schema<T: ToSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap()
}

fn bound<T: ToSchema>(field: &str, name: &str) -> u64 {
    let bound = &schema::<T>()["properties"][field][name];
    bound.as_f64().unwrap_or_else(|| panic!("{field} has no {name}")) as u64
}

#[test]
fn the_documented_limits_are_the_engines() {
    let max_length = |field| bound::<CreateTask>(field, "maxLength") as usize;
    assert_eq!(max_length("message"), limits::MESSAGE_BYTES_MAX);
    assert_eq!(max_length("session_id"), limits::KEY_BYTES_MAX);
    assert_eq!(max_length("lane"), limits::KEY_BYTES_MAX);
    assert_eq!(max_length("idempotency_key"), limits::KEY_BYTES_MAX);
    assert_eq!(max_length("extra_system_prompt"), limits::CONFIG_BYTES_MAX);
    assert_eq!(max_length("label"), limits::TEXT_BYTES_MAX);
    assert_eq!(max_length("spawned_by"), limits::TEXT_BYTES_MAX);
    assert_eq!(bound::<CreateTask>("timeout_ms", "maximum"), limits::TIMEOUT_MS_MAX);
    let attachments = bound::<CreateTask>("attachments", "maxItems") as usize;
    assert_eq!(attachments, limits::ATTACHMENTS_MAX);
    assert_eq!(bound::<SendInput>("message", "maxLength") as usize, limits::MESSAGE_BYTES_MAX);
    assert_eq!(bound::<SendInput>("idempotency_key", "maxLength") as usize, limits::KEY_BYTES_MAX);
    let agent_key = bound::<CreateAgent>("agent_key", "maxLength") as usize;
    assert_eq!(agent_key, limits::AGENT_KEY_BYTES_MAX);
    assert_eq!(bound::<CreateAgent>("name", "maxLength") as usize, limits::TEXT_BYTES_MAX);
    let maximum = |field| bound::<policy::Resources>(field, "maximum");
    assert_eq!(maximum("cpu"), limits::CPU_MILLIS_MAX);
    assert_eq!(maximum("memory"), limits::MEMORY_BYTES_MAX);
    assert_eq!(maximum("gpu"), limits::GPUS_MAX);
    let attempts = bound::<policy::RetryRequest>("max_attempts", "maximum");
    assert_eq!(attempts, u64::from(limits::RETRY_ATTEMPTS_MAX));
    assert_eq!(bound::<policy::RetryRequest>("delay_ms", "maximum"), limits::RETRY_DELAY_MS_MAX);
}

#[test]
fn requests_refuse_unknown_fields_and_say_so() {
    fn check<T: ToSchema + serde::de::DeserializeOwned>(good: Value) {
        assert_eq!(schema::<T>()["additionalProperties"], json!(false), "{}", T::name());
        assert!(serde_json::from_value::<T>(good.clone()).is_ok(), "{}", T::name());
        let mut bad = good;
        bad["unheard_of"] = json!(1);
        assert!(serde_json::from_value::<T>(bad).is_err(), "{}", T::name());
    }
    check::<CreateAgent>(json!({}));
    check::<UpdateAgent>(json!({}));
    check::<CreateTask>(json!({}));
    check::<CreateTasks>(json!({ "commands": [] }));
    check::<SendInput>(json!({}));
    check::<PolicyRequest>(json!({}));
    check::<policy::RetryRequest>(json!({}));
    check::<policy::Resources>(json!({}));
    check::<task::Routing>(json!({}));
    check::<task::Provenance>(json!({}));
}

#[test]
fn what_a_command_must_have_is_required_in_its_schema() {
    assert_eq!(schema::<CreateTask>()["required"], json!(["message", "agent_id"]));
    assert_eq!(schema::<CreateAgent>()["required"], json!(["agent_key", "name"]));
    assert_eq!(schema::<SendInput>()["required"], json!(["message"]));
    assert_eq!(schema::<UpdateAgent>().get("required"), None);
}

#[test]
fn a_nullable_field_that_is_always_there_is_required() {
    let required = |schema: &Value, field| {
        schema["required"].as_array().unwrap().iter().any(|name| name == field)
    };
    assert!(required(&schema::<Accepted>(), "run_id"));
    assert!(required(&schema::<Task>(), "waiting_on"));
    assert!(!required(&schema::<Task>(), "target_run_id"));
    assert!(required(&schema::<TaskList>(), "next_cursor"));
    assert!(required(&schema::<Record>()["allOf"][1], "run_id"));
}

#[test]
fn words_are_listed_in_the_schema() {
    let words = serde_json::to_value(word::schema::TaskState::schema()).unwrap();
    let all = ["queued", "running", "waiting", "done", "error", "cancelled", "dropped"];
    assert_eq!(words["enum"], json!(all));
}

#[test]
fn a_record_is_flat_and_tagged_by_its_kind() {
    let text = json!({
        "seq": 3, "ts": 5, "run_id": null, "attempt_id": null,
        "kind": "log", "stream": "stdout", "data": "x", "chunk_type": "text", "metadata": null,
    });
    let record: Record = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), text);
    assert_eq!((record.cursor(), record.event_name()), (3, "record"));

    let text = json!({
        "seq": 3, "ts": 5, "run_id": null, "attempt_id": null,
        "kind": "gap", "from_seq": 3, "to_seq": 9,
    });
    let record: Record = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&record).unwrap(), text);
    assert_eq!((record.cursor(), record.event_name()), (9, "gap"));
}

#[test]
fn a_problem_names_its_page_and_its_field() {
    use hostler_core::code::Rejection;
    let problem = Problem::from(Rejection::invalid("policy.ask", "invalid ask"));
    let expected = json!({
        "type": "/errors/invalid_field",
        "title": "A field has a value that is not allowed",
        "status": 400,
        "detail": "invalid ask",
        "code": "invalid_field",
        "field": "policy.ask",
        "retryable": false,
        "changed": "no",
    });
    assert_eq!(serde_json::to_value(problem).unwrap(), expected);
}

#[test]
fn a_list_in_place_of_a_nested_object_is_refused_and_the_field_is_named() {
    fn refused(body: &str) -> (String, String) {
        let mut reader = serde_json::Deserializer::from_str(body);
        let error = serde_path_to_error::deserialize::<_, CreateTask>(&mut reader).unwrap_err();
        (error.path().to_string(), error.inner().to_string())
    }
    let lists = [
        (r#"{"policy": ["sandbox"]}"#, "policy"),
        (r#"{"policy": []}"#, "policy"),
        (r#"{"policy": {"retry": [1, 2]}}"#, "policy.retry"),
        (r#"{"policy": {"resources": [1, 2]}}"#, "policy.resources"),
        (r#"{"input_provenance": ["mail"]}"#, "input_provenance"),
        (r#"{"routing": [null]}"#, "routing"),
    ];
    for (body, field) in lists {
        let (path, text) = refused(body);
        assert_eq!(path, field, "{body}");
        assert!(text.starts_with("a list; an object is read"), "{text}");
    }
    let error = serde_json::from_str::<UpdateAgent>(r#"{"config": []}"#).unwrap_err();
    assert!(error.to_string().starts_with("a list; an object is read"), "{error}");
    let (path, text) = refused(r#"{"routing": {"to": 5}}"#);
    assert_eq!(path, "routing.to");
    assert!(text.contains("expected a string"), "{text}");
    let (path, text) = refused(r#"{"routing": {"two": "x"}}"#);
    assert_eq!(path, "routing.two");
    assert!(text.starts_with("unknown field `two`"), "{text}");
    let (path, text) = refused(r#"{"policy": "sandbox"}"#);
    assert_eq!(path, "policy");
    assert!(text.contains("expected an object"), "{text}");

    let read: CreateTask = serde_json::from_str(
        r#"{"policy": {"ask": "off", "retry": {"delay_ms": 5}}, "routing": null}"#,
    )
    .unwrap();
    assert_eq!(read.policy.unwrap().retry.unwrap().delay_ms, Some(5));
    assert_eq!(read.routing, None);
}
