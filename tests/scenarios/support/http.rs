//! The HTTP side of the app under test.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::described::check_answer;
use super::{DEADLINE, Node, Person};

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// `null` if the text is not JSON.
    pub body: Value,
}

impl Reply {
    async fn to(request: RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.timeout(DEADLINE).build_split();
        let request = request?;
        let (method, path) = (request.method().to_string(), request.url().path().to_owned());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        let reply = Self { status, headers, text, body };
        check_answer(&method, &path, status, reply.header("content-type"), &reply.body);
        Ok(reply)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// The body of an answer that must be a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, &self.body["code"]), (status, &json!(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
        let title = self.body["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty(), "a problem has a title: {}", self.text);
        self.body
    }
}

impl Node {
    /// A request to be completed by hand, and sent with [`send`](Self::send).
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address()))
    }

    /// A request of `who`.
    pub fn request_of(&self, who: &Person, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(who.token())
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::to(request).await.unwrap_or_else(|e| panic!("no answer: {e:?}"))
    }

    /// A GET without a token; `None` while nobody listens.
    pub async fn try_get(&self, path: &str) -> Option<Reply> {
        Reply::to(self.request(Method::GET, path)).await.ok()
    }

    pub async fn get(&self, who: &Person, path: &str) -> Reply {
        self.send(self.request_of(who, Method::GET, path)).await
    }

    pub async fn post(&self, who: &Person, path: &str, body: Value) -> Reply {
        self.send(self.request_of(who, Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, who: &Person, path: &str, body: Value) -> Reply {
        self.send(self.request_of(who, Method::PUT, path).json(&body)).await
    }

    /// All that a list has, page by page, as its `next` leads on.
    pub async fn list(&self, who: &Person, path: &str) -> Vec<Value> {
        let (mut all, mut path) = (Vec::new(), path.to_owned());
        loop {
            let page = self.get(who, &path).await.is(200);
            let data = page["data"].as_array().expect("a list has data");
            assert_eq!(page["count"], data.len(), "count is this page's: {page}");
            assert_eq!(page["next"].is_null(), page["cursor"]["after"].is_null(), "{page}");
            all.extend(data.iter().cloned());
            match page["next"].as_str() {
                Some(next) => path = next.to_owned(),
                None => return all,
            }
        }
    }

    /// A chat's messages, oldest first.
    pub async fn history(&self, who: &Person, chat: i64) -> Vec<Value> {
        self.list(who, &format!("/chats/{chat}/messages?order=asc&limit=100")).await
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        self.try_metric(name).await.unwrap_or_else(|| panic!("no metric {name}"))
    }

    /// The same; `None` if there is no such metric yet.
    pub async fn try_metric(&self, name: &str) -> Option<f64> {
        let metrics = self.try_get("/metrics").await.expect("the server listens").text;
        let samples = metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        samples
            .map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()))
            .map(|value| value.expect("a sample ends with its value"))
            .reduce(|sum, value| sum + value)
    }
}
