//! Schedules over HTTP (SCH-1, SCH-4, SCH-5).

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{TestServer, read};

async fn send(server: &TestServer, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = server.request(method, path).json(&body);
    let (status, answer) = read(request.send().await.unwrap()).await;
    (status.as_u16(), answer)
}

async fn made(server: &TestServer, extra: Value) -> Value {
    let mut body = json!({ "agent_id": "coder", "cron_expr": "0 9 * * *", "prompt": "look" });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let (status, schedule) = send(server, Method::POST, "/schedules", body).await;
    assert_eq!(status, 201, "{schedule}");
    schedule
}

fn path_of(schedule: &Value) -> String {
    format!("/schedules/{}", schedule["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_schedule_is_made_changed_and_removed() {
    let server = TestServer::start().await;
    let agent = server.agent("coder").await;
    let made = made(&server, json!({ "timezone": "Europe/Vienna", "jitter_ms": 5 })).await;
    assert_eq!((&made["external_id"], &made["agent_id"]), (&made["id"], &agent["id"]));
    assert_eq!((&made["agent_name"], &made["overlap"]), (&json!("coder"), &json!("allow_all")));
    assert_eq!(made["catchup_window_ms"], 3_600_000);
    assert!(made["next_run_at"].is_string(), "{made}");
    let path = path_of(&made);
    assert_eq!(server.get(&path).await, (StatusCode::OK, made.clone()));
    let patch = json!({
        "active": false, "overlap": "skip", "prompt": " other ", "skill_paths": ["a/SKILL.md"],
        "policy": { "security": "full" }, "priority": "low",
    });
    let (status, changed) = send(&server, Method::PATCH, &path, patch).await;
    assert_eq!(status, 200);
    let expected = json!([null, false, "skip", "other", ["a/SKILL.md"], "full", "low"]);
    let fields = ["next_run_at", "active", "overlap", "prompt", "skill_paths"];
    let mut shown: Vec<&Value> = fields.iter().map(|field| &changed[field]).collect();
    shown.extend([&changed["policy"]["security"], &changed["priority"]]);
    assert_eq!(json!(shown), expected);
    let (_, changed) = send(&server, Method::PATCH, &path, json!({ "active": true })).await;
    assert_eq!(changed["next_run_at"], made["next_run_at"]);
    let (status, _) = send(&server, Method::DELETE, &path, json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(server.get(&path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.get("/schedules").await.1["schedules"], json!([]));
}

#[tokio::test]
async fn lists_have_cursors_and_are_of_an_agent_when_asked() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    server.agent("other").await;
    let mut ids = Vec::new();
    for agent in ["coder", "other", "coder"] {
        let schedule = made(&server, json!({ "agent_id": agent })).await;
        ids.insert(0, schedule["id"].clone());
    }
    let (_, page) = server.get("/schedules?limit=2").await;
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    assert_eq!((&page["schedules"][0]["id"], &page["has_more"]), (&ids[0], &json!(true)));
    let (_, page) = server.get(&format!("/schedules?limit=2&cursor={cursor}")).await;
    assert_eq!((&page["schedules"][0]["id"], &page["has_more"]), (&ids[2], &json!(false)));
    let (_, page) = server.get("/schedules?agent_id=other").await;
    assert_eq!(page["schedules"].as_array().unwrap().len(), 1);
    let delete = server.request(Method::DELETE, "/agents/coder").send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    let (_, page) = server.get("/schedules").await;
    assert_eq!(page["schedules"].as_array().unwrap().len(), 1, "an agent takes its schedules");
}

#[tokio::test]
async fn a_trigger_makes_one_task_for_each_key() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let schedule = made(&server, json!({ "prompt": "look\nhere", "active": false })).await;
    let id = schedule["id"].as_str().unwrap();
    let path = format!("/schedules/{id}/trigger");
    let response = server.request(Method::POST, &path).send().await.unwrap();
    let (status, one) = read(response).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{one}");
    let payload = &one["task"]["payload_json"];
    assert_eq!(payload["message"], "look\nhere");
    assert_eq!(payload["label"], "Schedule: look here");
    assert_eq!(payload["lane"], format!("schedule-lane:{id}"));
    assert_eq!(payload["spawned_by"], format!("schedule:{id}"));
    assert_eq!(payload["input_provenance"], json!({ "source": "scheduled_task" }));
    let keyed = json!({ "idempotency_key": "k" });
    let (status, two) = send(&server, Method::POST, &path, keyed.clone()).await;
    assert_eq!(status, 202);
    let again = server.request(Method::POST, &path).header("Idempotency-Key", "k");
    let (status, hit) = read(again.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &hit["task"]["id"]), (200, &two["task"]["id"]));
    let (_, shown) = server.get(&path_of(&schedule)).await;
    assert_eq!(shown["fired_count"], 2);
}

#[tokio::test]
async fn a_backfill_says_what_became_of_each_tick() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let schedule = made(&server, json!({})).await;
    let path = format!("{}/backfill", path_of(&schedule));
    let range = json!({ "from": "2026-01-01T09:00:00Z", "to": "2026-01-03T08:59:59Z" });
    let (status, filled) = send(&server, Method::POST, &path, range.clone()).await;
    assert_eq!(status, 200, "{filled}");
    let ticks = filled["ticks"].as_array().unwrap();
    assert_eq!(ticks.len(), 2);
    assert_eq!(ticks[0]["tick"], "2026-01-01T09:00:00.000Z");
    assert_eq!(ticks[1]["outcome"], "fired");
    let (_, again) = send(&server, Method::POST, &path, range).await;
    assert_eq!(again["ticks"][1]["outcome"], "hit");
    assert_eq!(again["ticks"][1]["task_id"], ticks[1]["task_id"]);
    let id = ticks[0]["task_id"].as_str().unwrap();
    let (_, task) = server.get(&format!("/tasks/{id}")).await;
    let session = task["session_id"].as_str().unwrap();
    assert!(uuid::Uuid::try_parse(session).is_ok(), "{session}");
    let key = format!("schedule:{}:1767258000", schedule["id"].as_str().unwrap());
    assert_eq!(task["idempotency_key"], key);
    let (status, page) = server.get(&format!("{}/missed?limit=2", path_of(&schedule))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(page, json!({ "missed": [], "next_cursor": null, "has_more": false }));
}

#[tokio::test]
async fn a_preview_shows_times_in_the_zone_of_the_rule() {
    let server = TestServer::start().await;
    let body = json!({
        "cron_expr": "30 2 * * *", "timezone": "Europe/Vienna",
        "after": "2026-03-28T12:00:00Z", "count": 2,
    });
    let (status, answer) = send(&server, Method::POST, "/schedules/preview", body).await;
    assert_eq!(status, 200, "{answer}");
    // The clock goes forward on that Sunday: the skipped time fires after the gap.
    let times = ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"];
    assert_eq!(answer["times"], json!(times));
    let soon = json!({ "cron_expr": "* * * * *" });
    let (_, answer) = send(&server, Method::POST, "/schedules/preview", soon).await;
    assert_eq!(answer["times"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn each_fault_is_named_with_its_field() {
    let server = TestServer::start().await;
    server.agent("coder").await;
    let schedule = made(&server, json!({})).await;
    let one = path_of(&schedule);
    let with = |extra: Value| {
        let mut body = json!({ "agent_id": "coder", "cron_expr": "0 9 * * *", "prompt": "p" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let long = |bytes: usize| "x".repeat(bytes);
    let none = "/schedules/00000000-0000-0000-0000-000000000000";
    let (create, fill) = ("/schedules".to_owned(), format!("{one}/backfill"));
    let preview = "/schedules/preview".to_owned();
    let post = || Method::POST;
    let far = json!({ "from": "2026-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z" });
    let wide = json!({ "from": "2000-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    let table: Vec<(Method, String, Value, u16, &str, &str)> = vec![
        (post(), create.clone(), json!({}), 400, "required_field", "cron_expr"),
        (post(), create.clone(), json!({"cron_expr": "x"}), 400, "required_field", "prompt"),
        (
            post(),
            create.clone(),
            json!({"cron_expr": "x", "prompt": "p"}),
            400,
            "required_field",
            "agent_id",
        ),
        (
            post(),
            create.clone(),
            with(json!({"cron_expr": "0 0 30 2 *"})),
            400,
            "invalid_field",
            "cron_expr",
        ),
        (
            post(),
            create.clone(),
            with(json!({"cron_expr": "TZ=UTC"})),
            400,
            "invalid_field",
            "cron_expr",
        ),
        (
            post(),
            create.clone(),
            with(json!({"cron_expr": long(257)})),
            413,
            "too_large",
            "cron_expr",
        ),
        (
            post(),
            create.clone(),
            with(json!({"timezone": "Mars/Base"})),
            400,
            "invalid_field",
            "timezone",
        ),
        (
            post(),
            create.clone(),
            with(json!({"prompt": long((1 << 20) + 1)})),
            413,
            "too_large",
            "prompt",
        ),
        (
            post(),
            create.clone(),
            with(json!({"agent_id": "nobody"})),
            404,
            "agent_not_found",
            "agent_id",
        ),
        (post(), create.clone(), with(json!({"overlap": "x"})), 400, "invalid_field", "overlap"),
        (
            post(),
            create.clone(),
            with(json!({"policy": {"ask": "x"}})),
            400,
            "invalid_field",
            "policy.ask",
        ),
        (
            post(),
            create.clone(),
            with(json!({"skill_paths": ["a\nb"]})),
            400,
            "invalid_field",
            "skill_paths[0]",
        ),
        (
            post(),
            create.clone(),
            with(json!({"skill_paths": vec!["a"; 33]})),
            413,
            "too_large",
            "skill_paths",
        ),
        (post(), create.clone(), with(json!({"jitter_ms": "1"})), 400, "invalid_body", "jitter_ms"),
        (post(), create.clone(), with(json!({"unknown": 1})), 400, "invalid_body", "unknown"),
        (
            Method::PATCH,
            one.clone(),
            json!({"catchup_window_ms": 1}),
            400,
            "invalid_field",
            "catchup_window_ms",
        ),
        (Method::PATCH, one.clone(), json!({"prompt": " "}), 400, "invalid_field", "prompt"),
        (Method::PATCH, one.clone(), json!({"agent_id": "x"}), 400, "invalid_body", "agent_id"),
        (Method::PATCH, none.to_owned(), json!({}), 404, "schedule_not_found", ""),
        (Method::DELETE, none.to_owned(), json!({}), 404, "schedule_not_found", ""),
        (post(), format!("{none}/trigger"), json!({}), 404, "schedule_not_found", ""),
        (
            post(),
            format!("{one}/trigger"),
            json!({"idempotency_key": long(257)}),
            413,
            "too_large",
            "idempotency_key",
        ),
        (post(), format!("{none}/backfill"), json!({}), 404, "schedule_not_found", ""),
        (post(), fill.clone(), json!({}), 400, "required_field", "from"),
        (post(), fill.clone(), far, 400, "invalid_field", "to"),
        (post(), fill.clone(), wide, 400, "invalid_field", "to"),
        (post(), fill, json!({"from": "yesterday"}), 400, "invalid_body", "from"),
        (post(), preview.clone(), json!({}), 400, "required_field", "cron_expr"),
        (
            post(),
            preview,
            json!({"cron_expr": "* * * * *", "count": 101}),
            400,
            "invalid_field",
            "count",
        ),
        (Method::GET, format!("{none}/missed"), json!({}), 404, "schedule_not_found", ""),
        (Method::GET, format!("{one}/missed?cursor=x"), json!({}), 400, "invalid_field", "cursor"),
        (Method::GET, "/schedules/x".to_owned(), json!({}), 404, "schedule_not_found", ""),
        (Method::GET, "/schedules?limit=0".to_owned(), json!({}), 400, "invalid_field", "limit"),
    ];
    for (method, path, body, status, code, field) in table {
        let (got, problem) = send(&server, method.clone(), &path, body.clone()).await;
        let text = |name: &str| problem[name].as_str().unwrap_or_default();
        let got = (got, text("code"), text("field"));
        assert_eq!(got, (status, code, field), "{method} {path}: {problem}");
    }
    let (_, page) = server.get("/schedules").await;
    assert_eq!(page["schedules"], json!([schedule]), "nothing else was stored or changed");
    assert_eq!(server.task_count().await, 0);
}
