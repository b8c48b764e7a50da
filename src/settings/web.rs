//! Settings of the web pages: widget, demo, check; and their validation.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Backend, Settings};

/// The longest name and greeting, in characters: they stand in the head of a narrow panel.
const TEXT_CHARS: usize = 200;

/// The pages that the server brings along.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    pub enabled: bool,
    /// A folder to serve the files from, for those who change them. Not set: they are in the program.
    pub dir: Option<PathBuf>,
    pub demo: Demo,
    /// The title of the widget. Not set: a word in the reader's language.
    pub name: Option<String>,
    /// The colour of the widget, `#rrggbb`. Not set: the widget's own.
    pub accent: Option<String>,
    /// The sentence in a chat without messages. Not set: one in the reader's language.
    pub greeting: Option<String>,
    /// Address at which the company's own server tells the token of the agent who is signed in there.
    pub token_url: Option<String>,
    /// The page of the company on which agents sign in.
    pub login_url: Option<String>,
}

/// The condition of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum Demo {
    /// On SQLite, without a public key, while no user but the demo's own is in the database.
    Auto,
    /// On SQLite, without a public key, whoever is in the database.
    On,
    Off,
}

impl TryFrom<String> for Demo {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{name}` is none of auto, on, off")),
        }
    }
}

impl Settings {
    /// The demo's condition, with all that the settings say: off on PostgreSQL, with a public key, and
    /// without pages.
    #[must_use]
    pub fn demo(&self) -> Demo {
        if self.demo_obstacle().is_none() { self.web.demo } else { Demo::Off }
    }

    /// The setting that keeps the demo off.
    fn demo_obstacle(&self) -> Option<&'static str> {
        if !self.web.enabled {
            return Some("web.enabled is false");
        }
        if self.database.url.backend() == Backend::Postgres {
            return Some("database.url is PostgreSQL");
        }
        self.auth.public_key_file.is_some().then_some("auth.public_key_file is set")
    }

    pub(super) fn check_web(&self, problems: &mut Vec<String>) {
        let web = &self.web;
        if web.demo == Demo::On
            && let Some(obstacle) = self.demo_obstacle()
        {
            problems.push(format!(
                "web.demo is on, but {obstacle}: there is no demo then. Leave it out, or set it to \
                 off."
            ));
        }
        if let Some(dir) = &web.dir
            && !dir.is_dir()
        {
            problems.push(format!("web.dir is `{}`, which is no folder.", dir.display()));
        }
        if let Some(accent) = &web.accent
            && !is_colour(accent)
        {
            problems.push(format!("web.accent is `{accent}`; it must be a colour as in #006084."));
        }
        for (key, url) in [("token_url", &web.token_url), ("login_url", &web.login_url)] {
            if let Some(url) = url
                && !is_address(url)
            {
                problems.push(format!(
                    "web.{key} is `{url}`; it must be a path as in /support-token, or begin with \
                     https:// or http://."
                ));
            }
        }
        for (key, text) in [("name", &web.name), ("greeting", &web.greeting)] {
            if let Some(text) = text
                && (text.trim().is_empty() || text.chars().count() > TEXT_CHARS)
            {
                problems.push(format!("web.{key} must have 1 to {TEXT_CHARS} characters."));
            }
        }
    }
}

/// A path of this server, or an address of another one, as it may stand in a header: a host of other letters
/// in its `xn--` form.
fn is_address(text: &str) -> bool {
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let is_plain = text.chars().all(|c| c.is_ascii_graphic() && !"\"';,*".contains(c));
    is_plain && (is_path || origin_of(text).is_some())
}

/// The origin of an address on another server; `None` for a path.
#[must_use]
pub fn origin_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let length = url.len() - rest.len() + host.len();
    (!host.is_empty() && !host.contains('@')).then(|| url.get(..length)).flatten()
}

fn is_colour(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str) -> Result<Settings, String> {
        Settings::load_from(toml, std::iter::empty()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_demo_is_off_wherever_it_would_be_an_open_door() {
        let key = "auth.public_key_file = '/x'\nauth.algorithm = 'RS256'";
        let postgres = "database.url = 'postgres://db/desk'";
        for (toml, demo) in [
            ("", Demo::Auto),
            ("web.demo = 'on'", Demo::On),
            ("web.demo = 'off'", Demo::Off),
            ("web.enabled = false", Demo::Off),
            (postgres, Demo::Off),
            (key, Demo::Off),
        ] {
            assert_eq!(load(toml).expect(toml).demo(), demo, "{toml}");
        }
        for toml in [postgres, key, "web.enabled = false"] {
            let problem = load(&format!("{toml}\nweb.demo = 'on'")).expect_err(toml);
            assert!(problem.starts_with("web.demo is on, but "), "{problem}");
        }
    }

    #[test]
    fn an_address_is_a_path_or_of_another_server() {
        for (url, origin) in [
            ("/support-token", None),
            ("https://shop.example.org/token?for=desk", Some("https://shop.example.org")),
            ("http://127.0.0.1:8000", Some("http://127.0.0.1:8000")),
        ] {
            load(&format!("web.token_url = '{url}'")).expect(url);
            assert_eq!(origin_of(url), origin);
        }
        for url in [
            "//other",
            "javascript:alert(1)",
            "https://",
            "https://a b",
            "https://u@h",
            "https://*",
            "https://büro.example",
            "x",
        ] {
            let problem = load(&format!("web.login_url = '{url}'")).expect_err(url);
            assert!(problem.contains("web.login_url"), "{problem}");
        }
    }

    #[test]
    fn what_a_page_could_not_show_is_named() {
        let long = format!("web.name = '{}'", "x".repeat(201));
        for (toml, key) in [
            ("web.accent = 'blue'", "web.accent"),
            ("web.accent = '#12345'", "web.accent"),
            ("web.greeting = ' '", "web.greeting"),
            (&long, "web.name"),
            ("web.dir = '/nowhere/at/all'", "web.dir"),
            ("web.demo = 'yes'", "none of auto, on, off"),
        ] {
            let problem = load(toml).expect_err(toml);
            assert!(problem.contains(key), "{problem}");
        }
        let users = "rabbitmq.users_queue = 'users'\nrabbitmq.users_issuer = 'demo'";
        for issuer in ["auth.issuer = 'demo'", users] {
            assert!(load(issuer).expect_err(issuer).contains("reserved for the demo"));
        }
    }
}
