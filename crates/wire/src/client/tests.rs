//! Against a server of a few lines: one answer for each connection, and the request kept.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use serde_json::json;

use super::*;
use crate::status::Exit;

/// Answers the next connection and gives back what it asked.
fn answer(response: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        while !is_whole(&asked) {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request ended early");
            asked.extend_from_slice(&piece[..count]);
        }
        stream.write_all(response.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (base, served)
}

/// The head has come, and the body that it announces.
fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn response(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn client(base: &str) -> Client {
    // The second call says that there is one already.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::new(base, Some("secret"), "default").unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn ids_are_encoded_and_the_token_is_sent() {
    let body = json!({ "agents": [], "next_cursor": null, "has_more": false }).to_string();
    let (base, served) = answer(response("200 OK", "application/json", &body));
    let problem = block_on(client(&base).get_task("a/b?c#ä %")).unwrap_err();
    assert!(matches!(problem, ClientError::Answer { .. }), "{problem:?}");
    let asked = served.join().unwrap();
    let path = "/api/v1/workspaces/default/tasks/a%2Fb%3Fc%23%C3%A4%20%25";
    assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
    assert!(asked.contains("authorization: Bearer secret\r\n"), "{asked}");
}

#[test]
fn an_id_that_would_name_another_path_is_never_sent() {
    let client = client("http://127.0.0.1:1/prefix/");
    for id in ["", ".", ".."] {
        let refused = block_on(client.cancel_task(id)).unwrap_err();
        assert!(matches!(refused, ClientError::Request(_)), "{id:?}: {refused:?}");
    }
    let url = client.workspace_url(&["tasks", "x"]).unwrap();
    assert_eq!(url.path(), "/prefix/api/v1/workspaces/default/tasks/x");
}

#[test]
fn filters_become_a_query_without_what_is_absent() {
    let body = json!({ "tasks": [], "next_cursor": null, "has_more": false }).to_string();
    let (base, served) = answer(response("200 OK", "application/json", &body));
    let filter = json::ListTasks {
        limit: Some(5),
        state: Some("queued,running".to_owned()),
        created_after: Some("1970-01-01T01:00:00+01:00".parse().unwrap()),
        include_archived: Some(true),
        ..json::ListTasks::default()
    };
    assert_eq!(block_on(client(&base).list_tasks(&filter)).unwrap().tasks, []);
    let asked = served.join().unwrap();
    let (_, query) = asked.lines().next().unwrap().split_once('?').unwrap();
    let mut pairs: Vec<_> = query.strip_suffix(" HTTP/1.1").unwrap().split('&').collect();
    pairs.sort_unstable();
    let expected = [
        "created_after=1970-01-01T00%3A00%3A00.000Z",
        "include_archived=true",
        "limit=5",
        "state=queued%2Crunning",
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn a_no_of_the_server_is_a_problem_with_its_exit_code() {
    let problem = Problem::new(hostler_core::code::Code::InboxFull, "20 inputs wait");
    let text = serde_json::to_string(&problem).unwrap();
    let kind = json::problem::MEDIA_TYPE;
    let (base, served) = answer(response("429 Too Many Requests", kind, &text));
    let input = json::SendInput { message: Some("x".to_owned()), ..Default::default() };
    let error = block_on(client(&base).send_input("t", &input)).unwrap_err();
    assert_eq!(error.to_string(), "20 inputs wait (inbox_full)");
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true));
    assert!(served.join().unwrap().ends_with("{\"message\":\"x\"}"));
}

#[test]
fn something_else_that_listens_there_is_told_apart() {
    let (base, served) = answer(response("502 Bad Gateway", "text/html", "<h1>no</h1>"));
    let error = block_on(client(&base).healthz()).unwrap_err();
    served.join().unwrap();
    let text = "the server's answer (502 Bad Gateway) is not as expected: <h1>no</h1>";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_server_that_is_not_there_is_named_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = block_on(client(&format!("http://{address}")).list_workers()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach http://{address}"));
    assert_eq!(error.exit(), Exit::Unavailable);
    assert!(error.source().is_some());
}

#[test]
fn events_resume_after_a_seq_and_end_with_the_connection() {
    let record = json!({
        "seq": 8, "ts": 1, "run_id": null, "attempt_id": null,
        "kind": "event", "event_type": "accepted", "payload": {},
    });
    let body = format!(
        ": hello\n\nid: 8\nevent: record\ndata: {record}\n\nevent: news\ndata: 1\n\n\
         event: gap\nid: 12\ndata: {{\"seq\": 9, \"ts\": 1, \"run_id\": null,\ndata: \
         \"attempt_id\": null, \"kind\": \"gap\", \"from_seq\": 9, \"to_seq\": 12}}\n\n\
         event: record\ndata: unfinished\n"
    );
    let (base, served) = answer(response("200 OK", "text/event-stream", &body));
    let cursors: Vec<_> = block_on(async {
        let events = client(&base).events("t", 7).await.unwrap();
        events.map(|event| event.unwrap().cursor()).collect().await
    });
    assert_eq!(cursors, [Some(8), Some(12)]);
    let asked = served.join().unwrap();
    assert!(asked.contains("last-event-id: 7\r\n"), "{asked}");
}

#[test]
fn an_event_that_cannot_be_read_ends_the_stream_with_an_error() {
    let body = "event: record\ndata: {}\n\nevent: news\ndata: 1\n\n";
    let (base, served) = answer(response("200 OK", "text/event-stream", body));
    let errors: Vec<_> = block_on(async {
        let events = client(&base).events("t", 0).await.unwrap();
        events.map(|event| event.is_err()).collect().await
    });
    assert_eq!(errors, [true]);
    assert!(!served.join().unwrap().contains("last-event-id"));
}

#[test]
fn an_address_that_is_none_is_refused_at_once() {
    for base in ["", "localhost:80", "ftp://x", "http://"] {
        let refused = Client::new(base, None, "default").unwrap_err();
        assert!(matches!(refused, ClientError::Request(_)), "{base:?}: {refused:?}");
    }
}

#[test]
fn a_client_never_shows_its_token() {
    assert!(!format!("{:?}", client("http://127.0.0.1:1")).contains("secret"));
}
