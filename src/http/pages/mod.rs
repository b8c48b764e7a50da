//! The web pages, and what they ask of the server before anybody is signed in.

mod assets;
mod check;
mod demo;
mod headers;

use actix_web::HttpResponse;
use actix_web::dev::HttpServiceFactory;
use actix_web::http::{StatusCode, header};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use serde::Serialize;

use super::{Answer, State, at, drain, end_kept, get, json, post};
use crate::auth::DemoKeys;
use crate::web::Site;

/// Seconds for which the public configuration may be kept.
const CONFIG_AGE: u32 = 300;

/// The pages and the demo, as all threads share them.
pub struct Pages {
    pub site: Site,
    /// Missing where the demo is off.
    pub demo: Option<Demo>,
}

/// A demo that is on.
pub struct Demo {
    pub keys: DemoKeys,
    /// True if it is on whoever is in the database.
    pub with_others: bool,
}

/// The routes of the pages. Those that any web page may read have no rule of origins.
pub fn configure(pages: web::Data<Pages>, routes: &mut ServiceConfig) {
    if pages.demo.is_some() {
        routes
            .service(served(at("/demo", [get(assets::demo)])))
            .service(served(at("/demo/shop", [get(assets::shop)])))
            .service(served(at("/demo/agent", [get(assets::agent)])))
            .service(served(at("/demo/session", [post(demo::session)])));
    }
    routes
        .app_data(pages)
        .service(served(at("/", [get(assets::home)])))
        .service(served(at("/check", [get(assets::check)])))
        .service(served(at("/desk/check", [get(assets::check)])))
        .service(served(at("/desk", [get(assets::desk)])))
        .service(served(at("/desk/{tail:.*}", [get(assets::desk)])))
        .service(served(at("/debug", [get(assets::debug)])))
        .service(served(at("/docs", [get(assets::docs)])))
        .service(served(at("/widget.js", [get(assets::loader)])))
        .service(served(at("/favicon.svg", [get(assets::favicon)])))
        .service(served(at("/_/{tree}/{path:.*}", [get(assets::asset)])))
        .service(served(at("/web/config", [get(config)])))
        .service(served(at("/web/check", [get(check::check)])));
}

/// The middleware of all these resources.
fn served(resource: actix_web::Resource) -> impl HttpServiceFactory {
    resource.wrap(from_fn(drain)).wrap(from_fn(end_kept))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    version: &'static str,
    /// Of the frames; `welcome` says the same.
    protocol: u32,
    locales: &'a [String],
    /// A feature that is missing here is not there.
    features: FeaturesView,
    login: LoginView<'a>,
    widget: WidgetView<'a>,
    /// The folder of the scripts: another one is another version of them.
    base: String,
}

#[derive(Serialize)]
struct FeaturesView {
    typing: bool,
    presence: bool,
}

/// The ways in for agents.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoginView<'a> {
    /// By built-in accounts.
    local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
}

#[derive(Serialize)]
struct WidgetView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    accent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    greeting: Option<&'a str>,
}

impl<'a> ConfigView<'a> {
    fn new(state: &'a State, pages: &'a Pages) -> Self {
        let web = &state.settings.web;
        Self {
            name: web.name.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
            protocol: crate::protocol::VERSION,
            locales: pages.site.locales(),
            features: FeaturesView { typing: true, presence: true },
            login: LoginView {
                local: state.settings.auth.local_accounts,
                token_url: web.token_url.as_deref(),
                login_url: web.login_url.as_deref(),
            },
            widget: WidgetView { accent: web.accent.as_deref(), greeting: web.greeting.as_deref() },
            base: pages.site.base(),
        }
    }
}

/// `GET /web/config`: what pages must know before anybody is signed in. Public.
async fn config(state: web::Data<State>, pages: web::Data<Pages>) -> Answer {
    let mut response = json(StatusCode::OK, &ConfigView::new(&state, &pages), 1)?;
    public(&mut response);
    let age = if pages.site.is_immutable() { CONFIG_AGE } else { 0 };
    headers::insert(&mut response, header::CACHE_CONTROL, &format!("max-age={age}"));
    Ok(response)
}

/// Lets the page of any origin read an answer, which is the same for everybody.
fn public(response: &mut HttpResponse) {
    headers::insert(response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    headers::insert(response, headers::RESOURCE_POLICY, "cross-origin");
    headers::insert(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
}
