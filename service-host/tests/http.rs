//! What a client sees of every service: problems, readiness, traces, limits and the drain, over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use reqwest::{Client, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_host::{BODY_BYTES_MAX, Host, Json, Query, ServeLimits, Shutdown, TraceContext, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

#[derive(Deserialize, Serialize)]
struct Order {
    charger_id: String,
    evses: Vec<Evse>,
}

#[derive(Deserialize, Serialize)]
struct Evse {
    power_w: u32,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

/// A running service on a free port.
struct Service {
    base: String,
    address: SocketAddr,
    host: Host,
    shutdown: Shutdown,
    running: JoinHandle<()>,
    /// `/slow` answers when it gets a permit.
    slow: Arc<Semaphore>,
    /// Gets a permit for each request that has reached `/slow`.
    reached: Arc<Semaphore>,
    client: Client,
}

impl Service {
    async fn start(limits: ServeLimits) -> Self {
        let (slow, reached) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (wait, tell) = (slow.clone(), reached.clone());
        let api = Router::new()
            .route("/orders", post(|Json(order): Json<Order>| async { Json(order) }))
            .route("/page", get(|Query(page): Query<Page>| async move { Json(json!({"limit": page.limit})) }))
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
            .route("/trace", get(|trace: TraceContext| async move { trace.trace_id.to_string() }))
            .route("/panic", get(|| async { panic!("as a bug would") as String }))
            .route(
                "/slow",
                get(move || async move {
                    tell.add_permits(1);
                    let _permit = wait.acquire().await;
                    "done"
                }),
            );
        let host = Host::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(serve(host.finish(api), listener, shutdown.clone(), limits));
        let base = format!("http://{address}");
        Self { base, address, host, shutdown, running, slow, reached, client: Client::new() }
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.base)).send().await.unwrap()
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(format!("{}{path}", self.base)).header("content-type", content_type);
        request.body(body).send().await.unwrap()
    }
}

async fn problem(response: Response) -> (u16, Value) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body)
}

#[tokio::test]
async fn unknown_routes_wrong_methods_and_panics_are_problems() {
    let service = Service::start(ServeLimits::default()).await;
    let (status, body) = problem(service.get("/nothing").await).await;
    assert_eq!((status, &body["type"]), (404, &json!("/problems/not-found")));
    let response = service.client.request(Method::DELETE, format!("{}/orders", service.base)).send().await.unwrap();
    assert_eq!(response.headers()["allow"], "POST");
    let (status, body) = problem(response).await;
    assert_eq!((status, &body["type"]), (405, &json!("/problems/method-not-allowed")));
    let (status, body) = problem(service.get("/panic").await).await;
    assert_eq!((status, &body["type"]), (500, &json!("/problems/internal")));
    assert!(!body["detail"].as_str().unwrap().contains("bug"), "the cause is for the log");
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_by_the_name_of_its_field() {
    let service = Service::start(ServeLimits::default()).await;
    // What is sent, the status, the field.
    let table = [
        (r#"{"charger_id": "CP001", "evses": [{"power_w": "much"}]}"#, 422, json!("evses[0].power_w")),
        (r#"{"charger_id": "CP001", "evses": [{}]}"#, 422, json!("evses[0].power_w")),
        (r#"{"evses": []}"#, 422, json!("charger_id")),
        (r#"{"charger_id": 7, "evses": []}"#, 422, json!("charger_id")),
        (r#"{"charger_id": "CP001", "#, 400, Value::Null),
        ("", 400, Value::Null),
    ];
    for (sent, expected, field) in table {
        let (status, body) = problem(service.post("/orders", "application/json", sent).await).await;
        assert_eq!((status, &body["field"]), (expected, &field), "{sent}");
        assert_eq!(body["type"], "/problems/invalid-request");
    }
    let (status, _) = problem(service.post("/orders", "text/plain", "{}").await).await;
    assert_eq!(status, 400);
    let (status, body) = problem(service.get("/page?limit=many").await).await;
    assert_eq!((status, &body["field"]), (400, &json!("limit")));
    let fits = r#"{"charger_id": "CP001", "evses": [{"power_w": 11000}]}"#;
    assert_eq!(service.post("/orders", "application/json; charset=utf-8", fits).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_above_the_limit_is_too_large() {
    let service = Service::start(ServeLimits::default()).await;
    let body = vec![b' '; BODY_BYTES_MAX + 1];
    let (status, body) = problem(service.post("/orders", "application/json", body).await).await;
    assert_eq!((status, &body["type"]), (413, &json!("/problems/too-large")));
}

#[tokio::test]
async fn a_process_is_ready_when_each_of_its_parts_is() {
    let service = Service::start(ServeLimits::default()).await;
    assert_eq!(service.get("/ready").await.status(), StatusCode::OK);
    let gate = service.host.readiness().gate("projections");
    let (status, body) = problem(service.get("/ready").await).await;
    assert_eq!((status, &body["not_ready"]), (503, &json!({"projections": "starting"})));
    gate.ready();
    assert_eq!(service.get("/ready").await.status(), StatusCode::OK);
    gate.not_ready("42 positions behind");
    let (_, body) = problem(service.get("/ready").await).await;
    assert_eq!(body["not_ready"], json!({"projections": "42 positions behind"}));
    assert_eq!(service.get("/health").await.status(), StatusCode::OK, "not ready is still alive");
}

#[tokio::test]
async fn a_trace_is_accepted_carried_on_and_answered() {
    let service = Service::start(ServeLimits::default()).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = service.client.get(format!("{}/trace", service.base)).header("traceparent", parent);
    let response = request.send().await.unwrap();
    let answered = response.headers()["traceparent"].to_str().unwrap().to_owned();
    assert!(answered.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && answered != parent, "{answered}");
    assert_eq!(response.text().await.unwrap(), "0af7651916cd43dd8448eb211c80319c");
    assert!(service.get("/trace").await.headers().contains_key("traceparent"), "a trace begins where none came");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let service = Service::start(ServeLimits::default()).await;
    assert_eq!(service.get("/peer").await.text().await.unwrap(), "127.0.0.1");
    service.get("/never-a-label").await;
    let text = service.get("/metrics").await.text().await.unwrap();
    assert!(text.contains(r#"coulomb_http_requests_total{method="GET",route="/peer",status="200"}"#), "{text}");
    assert!(text.contains("coulomb_http_request_duration_seconds_bucket"), "{text}");
    assert!(!text.contains("never-a-label"), "{text}");
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way_and_takes_no_new_ones() {
    let service = Service::start(ServeLimits::default()).await;
    let url = format!("{}/slow", service.base);
    let under_way = tokio::spawn(service.client.get(url).send());
    let _ = service.reached.acquire().await.unwrap();
    service.shutdown.begin();
    // The listener is closed before the drain begins to wait.
    while TcpStream::connect(service.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!service.running.is_finished());
    service.slow.add_permits(1);
    assert_eq!(under_way.await.unwrap().unwrap().text().await.unwrap(), "done");
    service.running.await.unwrap();
}

/// From the announcement on connections end with their next answer; what the kernel has taken by the end is served.
#[tokio::test]
async fn what_came_before_the_end_is_served_and_closed() {
    let service = Service::start(ServeLimits::default()).await;
    let mut taken = TcpStream::connect(service.address).await.unwrap();
    service.shutdown.announce();
    let answer = service.get("/health").await;
    assert_eq!(answer.headers()["connection"], "close");
    let mut waiting = TcpStream::connect(service.address).await.unwrap();
    service.shutdown.begin();
    for stream in [&mut taken, &mut waiting] {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }
    service.running.await.unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let limits = ServeLimits { drain_wait_max: Duration::from_millis(20), ..ServeLimits::default() };
    let service = Service::start(limits).await;
    let url = format!("{}/slow", service.base);
    let under_way = tokio::spawn(service.client.get(url).send());
    let _ = service.reached.acquire().await.unwrap();
    service.shutdown.begin();
    service.running.await.unwrap();
    assert!(under_way.await.unwrap().is_err(), "it was cut off");
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_the_end_up() {
    let service = Service::start(ServeLimits::default()).await;
    let mut idle = TcpStream::connect(service.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    service.shutdown.begin();
    service.running.await.unwrap();
}

#[tokio::test]
async fn headers_that_do_not_come_end_the_connection() {
    let limits = ServeLimits { header_wait_max: Duration::from_millis(50), ..ServeLimits::default() };
    let service = Service::start(limits).await;
    let mut slow = TcpStream::connect(service.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn several_services_share_one_recorder() {
    let services = [Service::start(ServeLimits::default()).await, Service::start(ServeLimits::default()).await];
    let mut seen = BTreeMap::new();
    for service in &services {
        service.get("/health").await;
        let text = service.get("/metrics").await.text().await.unwrap();
        seen.insert(service.address, text.contains(r#"route="/health""#));
    }
    assert!(seen.values().all(|seen| *seen));
}
