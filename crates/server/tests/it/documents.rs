//! The documents that the server serves.

use hostler_core::code::Code;
use serde_json::Value;

use super::support::{TOKEN, TestServer};

async fn fetch(server: &TestServer, path: &str) -> String {
    let request = reqwest::Client::new().get(format!("{}{path}", server.url)).bearer_auth(TOKEN);
    request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

#[tokio::test]
async fn the_openapi_document_is_whole() {
    let server = TestServer::start().await;
    let text = fetch(&server, "/openapi.json").await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let base = "/api/v1/workspaces/{workspace}";
    for path in
        ["/agents", "/tasks", "/tasks/{id}/cancel", "/runs/{id}/input", "/schedules/{id}/missed"]
    {
        assert!(paths.contains_key(&format!("{base}{path}")), "{path}");
    }
    // Every reference has its target.
    let mut rest = text.as_str();
    while let Some(at) = rest.find("\"#/") {
        rest = &rest[at + 2..];
        let pointer = &rest[..rest.find('"').unwrap()];
        assert!(document.pointer(pointer).is_some(), "{pointer} is not there");
    }
}

#[tokio::test]
async fn every_error_code_has_its_page() {
    let server = TestServer::start().await;
    for code in Code::ALL {
        let page = fetch(&server, &format!("/errors/{code}")).await;
        assert!(page.contains(code.as_str()), "{code}");
    }
}
