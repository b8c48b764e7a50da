//! Other names: a client's events become commands, and the server's events the client's.
//!
//! JSON stays text: values are moved as slices, and never written anew.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Fields;
use crate::domain::{NameIn, NameOut};

/// Commands that take a bare value from every client: the value's first character, and its field.
const BARE: [(&str, u8, &str); 2] =
    [("enter_chat", b'[', "chatIds"), ("send_message", b'"', "message")];

/// The names of an application's clients, from the settings.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashMap<Box<str>, Taken>,
    given: HashMap<Box<str>, Vec<Given>>,
    /// The events that some `after` names.
    remembered: HashMap<Box<str>, Used>,
}

/// Events that a session has sent, of those that some `after` names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used(u64);

impl Used {
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A client's event as the protocol has it.
#[derive(Debug)]
pub struct Translated<'a> {
    /// The command.
    pub event: &'a str,
    pub data: Option<Box<RawValue>>,
    /// An event with its data, to be sent to the client when the command is done.
    pub answer: Option<(Arc<str>, Box<RawValue>)>,
}

/// One of [`NameIn`].
#[derive(Debug)]
struct Taken {
    command: Box<str>,
    /// The client's field, and the command's.
    fields: Vec<(Box<str>, Box<str>)>,
    bare: Option<Box<str>>,
    answer: Option<AnswerEvent>,
}

#[derive(Debug)]
struct AnswerEvent {
    name: Arc<str>,
    /// The answer's field, and the client's. Empty: the answer is what the client sent.
    fields: Vec<(Box<str>, Box<str>)>,
}

/// One of [`NameOut`].
#[derive(Debug)]
struct Given {
    name: Box<str>,
    /// `None`: for all sessions.
    after: Option<Used>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Unchanged,
    /// The value at a path.
    Bare(Box<str>),
    /// The client's field, and the path of its value.
    Object(Vec<(Box<str>, Box<str>)>),
}

impl Names {
    /// The names of valid settings: at most 64 events in all `after` together.
    #[must_use]
    pub fn new(names_in: &[NameIn], names_out: &[NameOut]) -> Self {
        let mut names = Self::default();
        for name in names_in {
            names.taken.insert(name.event.as_str().into(), Taken::new(name));
        }
        for name in names_out {
            let after = (!name.after.is_empty()).then(|| names.remember(&name.after));
            let given = Given::new(name, after);
            names.given.entry(name.of.as_str().into()).or_default().push(given);
        }
        names
    }

    fn remember(&mut self, events: &[String]) -> Used {
        let mut all = Used::default();
        for event in events {
            let next = u32::try_from(self.remembered.len()).ok();
            let next = Used(next.and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0));
            all.add(*self.remembered.entry(event.as_str().into()).or_insert(next));
        }
        all
    }

    /// True if there are no names but the protocol's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.given.is_empty()
    }

    /// The mark of a client's event, to be added to what its session has sent.
    #[must_use]
    pub fn used(&self, event: &str) -> Used {
        self.remembered.get(event).copied().unwrap_or_default()
    }

    /// Translates a client's event; `None` leaves it as it is.
    #[must_use]
    pub fn take(&self, event: &str, data: Option<&RawValue>) -> Option<Translated<'_>> {
        if let Some(taken) = self.taken.get(event) {
            return Some(Translated {
                event: &taken.command,
                data: data.map(|data| taken.data(data)),
                answer: taken.answer.as_ref().map(|answer| answer.event(data)),
            });
        }
        let data = data?;
        let (event, field) = everyones(event, data)?;
        Some(Translated { event, data: Some(wrapped(field, data)), answer: None })
    }

    /// Translates the server's event, with its data in JSON, for a session that has sent the events
    /// `used`; `None` leaves it as it is.
    #[must_use]
    pub fn give<'n, 'd>(
        &'n self,
        used: Used,
        event: &str,
        data: &'d str,
    ) -> Option<(&'n str, Cow<'d, str>)> {
        let applies = |given: &&Given| given.after.is_none_or(|after| after.meets(used));
        let given = self.given.get(event)?.iter().find(applies)?;
        Some((&given.name, given.data(data)))
    }
}

/// The command and the field of a bare value that every client may send.
fn everyones(event: &str, data: &RawValue) -> Option<(&'static str, &'static str)> {
    let first = data.get().bytes().next();
    let bare = BARE.iter().find(|(command, start, _)| *command == event && Some(*start) == first);
    bare.map(|(command, _, field)| (*command, *field))
}

impl Taken {
    fn new(NameIn { is, bare, answer, fields, answer_fields, .. }: &NameIn) -> Self {
        let fields = fields.iter().map(|(ours, theirs)| pair(theirs, ours)).collect();
        let answer = answer.as_deref().map(|name| AnswerEvent {
            name: name.into(),
            fields: answer_fields.iter().map(|(field, theirs)| pair(field, theirs)).collect(),
        });
        Self { command: is.as_str().into(), fields, bare: bare.as_deref().map(Box::from), answer }
    }

    fn data(&self, data: &RawValue) -> Box<RawValue> {
        match data.get().bytes().next() {
            Some(b'{') => self.renamed(data).unwrap_or_else(|| data.to_owned()),
            // As if it were missing.
            Some(b'n') => data.to_owned(),
            _ => {
                let everyones = || everyones(&self.command, data).map(|(_, field)| field);
                match self.bare.as_deref().or_else(everyones) {
                    Some(field) => wrapped(field, data),
                    None => data.to_owned(),
                }
            }
        }
    }

    /// The object with the command's fields. `None` if nothing is to change.
    fn renamed(&self, data: &RawValue) -> Option<Box<RawValue>> {
        if self.fields.is_empty() {
            return None;
        }
        let fields = Fields::parse(data.get()).ok()?;
        let mut object = String::with_capacity(data.get().len() + 32);
        for (name, written, value) in fields.iter() {
            match self.fields.iter().find(|(theirs, _)| **theirs == *name) {
                Some((_, ours)) => push(&mut object, &quoted(ours), &value_of(ours, value)),
                None => push(&mut object, written, value.get()),
            }
        }
        closed(object)
    }
}

impl AnswerEvent {
    fn event(&self, sent: Option<&RawValue>) -> (Arc<str>, Box<RawValue>) {
        let sent = sent.unwrap_or(RawValue::NULL);
        let picked = || {
            let fields = Fields::parse(sent.get()).ok().filter(|_| !self.fields.is_empty())?;
            let mut object = String::new();
            for (name, theirs) in &self.fields {
                if let Some((value, _)) = fields.get(theirs) {
                    push(&mut object, &quoted(name), value.get());
                }
            }
            closed(object)
        };
        (Arc::clone(&self.name), picked().unwrap_or_else(|| sent.to_owned()))
    }
}

impl Given {
    fn new(NameOut { name, bare, fields, .. }: &NameOut, after: Option<Used>) -> Self {
        let form = match bare {
            Some(path) => Form::Bare(path.as_str().into()),
            None if fields.is_empty() => Form::Unchanged,
            None => Form::Object(fields.iter().map(|(theirs, path)| pair(theirs, path)).collect()),
        };
        Self { name: name.as_str().into(), after, form }
    }

    fn data<'d>(&self, data: &'d str) -> Cow<'d, str> {
        match &self.form {
            Form::Unchanged => Cow::Borrowed(data),
            Form::Bare(path) => Cow::Borrowed(at(data, path).unwrap_or("null")),
            Form::Object(fields) => {
                let mut object = String::new();
                for (theirs, path) in fields {
                    if let Some(value) = at(data, path) {
                        push(&mut object, &quoted(theirs), value);
                    }
                }
                object.push_str(if object.is_empty() { "{}" } else { "}" });
                Cow::Owned(object)
            }
        }
    }
}

/// The value at a path, whose parts are joined by dots.
fn at<'d>(data: &'d str, path: &str) -> Option<&'d str> {
    path.split('.').try_fold(data, |object, name| {
        let fields = Fields::parse(object).ok()?;
        fields.get(name).map(|(value, _)| value.get())
    })
}

/// An object with one field.
fn wrapped(field: &str, value: &RawValue) -> Box<RawValue> {
    let mut object = String::new();
    push(&mut object, &quoted(field), &value_of(field, value));
    closed(object).unwrap_or_else(|| value.to_owned())
}

/// A value as the command's field needs it. An id may be a text of digits; a field that ends in
/// `Ids` is a list, also of a single value.
fn value_of<'v>(field: &str, value: &'v RawValue) -> Cow<'v, str> {
    let text = value.get();
    if field == "chatId" {
        return id(text);
    }
    if !field.ends_with("Ids") || text == "null" {
        return Cow::Borrowed(text);
    }
    if !text.starts_with('[') {
        return Cow::Owned(format!("[{}]", id(text)));
    }
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return Cow::Borrowed(text);
    };
    let ids: Vec<_> = items.iter().map(|item| id(item.get())).collect();
    Cow::Owned(format!("[{}]", ids.join(",")))
}

/// A number for a text of digits; anything else as it is.
fn id(value: &str) -> Cow<'_, str> {
    let digits = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<i64>().ok()) {
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(value),
    }
}

/// Adds a field to an object that is being written.
fn push(object: &mut String, name: &str, value: &str) {
    let before = if object.is_empty() { '{' } else { ',' };
    // Writing to a text does not fail.
    let _ = write!(object, "{before}{name}:{value}");
}

fn closed(mut object: String) -> Option<Box<RawValue>> {
    object.push_str(if object.is_empty() { "{}" } else { "}" });
    RawValue::from_string(object).ok()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn pair(left: &str, right: &str) -> (Box<str>, Box<str>) {
    (left.into(), right.into())
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
