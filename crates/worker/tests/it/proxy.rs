//! The model proxy between a raw client on its socket and a raw server behind it, so that every
//! byte on both sides is seen.

use std::path::Path;
use std::time::Duration;

use hostler_worker::proxy::{Credential, ModelProxy, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

const PATIENCE: Duration = Duration::from_secs(30);

fn within<T>(test: impl Future<Output = T>) -> T {
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    executor.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("in time") })
}

struct Stage {
    folder: tempfile::TempDir,
    upstream: TcpListener,
    proxy: ModelProxy,
}

impl Stage {
    async fn set(path: &str) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = upstream.local_addr().expect("bound");
        let credential =
            Credential::Header { name: "x-api-key".to_owned(), value: "real-secret".to_owned() };
        let base_url = format!("http://{address}{path}");
        let socket = folder.path().join("model.sock");
        let proxy = ModelProxy::start(Upstream { base_url, credential }, socket).expect("started");
        Stage { folder, upstream, proxy }
    }

    async fn client(&self) -> UnixStream {
        UnixStream::connect(self.proxy.socket()).await.expect("connected")
    }

    async fn accept(&self) -> TcpStream {
        self.upstream.accept().await.expect("a connection").0
    }
}

async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 4096];
        let n_read = stream.read(&mut buffer).await.expect("read");
        assert!(n_read > 0, "{end:?} did not come, only {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n_read]));
    }
    text
}

async fn send(stream: &mut (impl AsyncWriteExt + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.expect("written");
}

#[test]
fn the_agents_credential_is_replaced_by_the_workers() {
    within(async {
        let stage = Stage::set("/gateway").await;
        let mut client = stage.client().await;
        send(
            &mut client,
            "POST /v1/messages?beta=true HTTP/1.1\r\nhost: api.anthropic.com\r\n\
             x-api-key: dummy\r\nauthorization: Bearer dummy\r\ncookie: a=b\r\n\
             anthropic-version: 2023-06-01\r\nconnection: keep-alive, x-private\r\n\
             x-private: 1\r\nproxy-authorization: Basic x\r\nte: trailers\r\n\
             content-length: 5\r\n\r\nhello",
        )
        .await;
        let mut server = stage.accept().await;
        let request = read_until(&mut server, "hello").await.to_ascii_lowercase();
        assert!(request.starts_with("post /gateway/v1/messages?beta=true http/1.1\r\n"));
        let address = stage.upstream.local_addr().expect("bound");
        for line in [
            format!("host: {address}"),
            "x-api-key: real-secret".to_owned(),
            "anthropic-version: 2023-06-01".to_owned(),
            "content-length: 5".to_owned(),
        ] {
            assert_eq!(request.matches(&format!("\r\n{line}\r\n")).count(), 1, "{request}");
        }
        for gone in ["dummy", "authorization", "cookie", "x-private", "\r\nte:"] {
            assert!(!request.contains(gone), "{gone} in {request}");
        }
        send(
            &mut server,
            "HTTP/1.1 201 Created\r\nrequest-id: r1\r\nconnection: close\r\n\
             keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok",
        )
        .await;
        let response = read_until(&mut client, "ok").await.to_ascii_lowercase();
        assert!(response.starts_with("http/1.1 201 created\r\n"), "{response}");
        assert!(response.contains("request-id: r1\r\n"));
        assert!(!response.contains("keep-alive: timeout"), "{response}");
        assert!(!response.contains("secret"));
    });
}

#[test]
fn events_arrive_while_the_response_goes_on() {
    within(async {
        let stage = Stage::set("").await;
        let mut client = stage.client().await;
        send(&mut client, "GET /stream HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut server = stage.accept().await;
        let request = read_until(&mut server, "\r\n\r\n").await;
        assert!(!request.to_ascii_lowercase().contains("transfer-encoding"), "{request}");
        send(
            &mut server,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
        .await;
        for number in 1..4 {
            // The next is sent only when this one has come through.
            let event = format!("event: {number}\n\n");
            send(&mut server, &format!("{:x}\r\n{event}\r\n", event.len())).await;
            read_until(&mut client, &event).await;
        }
        send(&mut server, "0\r\n\r\n").await;
        read_until(&mut client, "0\r\n\r\n").await;
    });
}

#[test]
fn a_request_streams_too() {
    within(async {
        let stage = Stage::set("").await;
        let mut client = stage.client().await;
        send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
        send(&mut client, "5\r\nfirst\r\n").await;
        let mut server = stage.accept().await;
        read_until(&mut server, "first").await;
        send(&mut client, "6\r\nsecond\r\n0\r\n\r\n").await;
        read_until(&mut server, "second").await;
    });
}

#[test]
fn no_target_leads_elsewhere() {
    within(async {
        let stage = Stage::set("").await;
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = elsewhere.local_addr().expect("bound");
        let mut client = stage.client().await;
        send(&mut client, &format!("GET http://{address}/x HTTP/1.1\r\nhost: {address}\r\n\r\n"))
            .await;
        let mut server = stage.accept().await;
        let request = read_until(&mut server, "\r\n\r\n").await;
        assert!(request.starts_with("GET /x HTTP/1.1\r\n"), "{request}");
        // A redirect is the agent's to read, and leads through the proxy again if it follows.
        send(
            &mut server,
            &format!("HTTP/1.1 307 T\r\nlocation: http://{address}/\r\ncontent-length: 0\r\n\r\n"),
        )
        .await;
        let response = read_until(&mut client, "\r\n\r\n").await;
        assert!(response.starts_with("HTTP/1.1 307 "), "{response}");

        for (request, status) in [
            (format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n"), "403"),
            ("GET /a/../../x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400"),
            ("GET /%2e%2e/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400"),
            ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "400"),
        ] {
            let mut client = stage.client().await;
            send(&mut client, &request).await;
            let response = read_until(&mut client, "}}").await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
            assert!(response.contains("\"type\":\"error\""), "{response}");
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
        assert!(nobody.is_err(), "something connected elsewhere");
    });
}

#[test]
fn an_upstream_out_of_reach_is_told_in_the_providers_shape() {
    within(async {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let base_url = format!("http://{}", taken.local_addr().expect("bound"));
        drop(taken);
        let upstream = Upstream { base_url, credential: Credential::None };
        let proxy = ModelProxy::start(upstream, folder.path().join("model.sock")).expect("started");
        let mut client = UnixStream::connect(proxy.socket()).await.expect("connected");
        send(&mut client, "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
            .await;
        let response = read_until(&mut client, "}}").await;
        assert!(response.starts_with("HTTP/1.1 502 "), "{response}");
        let (_, body) = response.split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["type"], "error");
        assert_eq!(body["error"]["type"], "api_error");
        let message = body["error"]["message"].as_str().expect("a message");
        assert!(message.contains("Connection refused"), "{message}");
    });
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    within(async {
        let stage = Stage::set("").await;
        let mut client = stage.client().await;
        send(&mut client, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 70000000\r\n\r\n").await;
        let response = read_until(&mut client, "}}").await;
        assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
    });
}

#[test]
fn an_early_end_upstream_is_an_early_end_here() {
    within(async {
        let stage = Stage::set("").await;
        let mut client = stage.client().await;
        send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut server = stage.accept().await;
        read_until(&mut server, "\r\n\r\n").await;
        send(&mut server, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this").await;
        drop(server);
        let mut response = String::new();
        client.read_to_string(&mut response).await.expect("ended");
        assert!(response.ends_with("only this"), "{response}");
    });
}

#[test]
fn dropping_ends_connections_and_removes_the_socket() {
    within(async {
        let stage = Stage::set("").await;
        let mut client = stage.client().await;
        send(&mut client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut server = stage.accept().await;
        read_until(&mut server, "\r\n\r\n").await;
        let Stage { folder, proxy, .. } = stage;
        let socket = proxy.socket().to_owned();
        drop(proxy);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap_or(0), 0);
        assert!(!Path::new(&socket).exists());
        // Its place can be taken again, also over a stale socket.
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
        let base_url = "http://127.0.0.1:9".to_owned();
        let upstream = Upstream { base_url, credential: Credential::None };
        ModelProxy::start(upstream, socket).expect("started");
        drop(folder);
    });
}
