//! The operator's command line, on the app's database.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::app::{environment, process_settings};
use super::{TestApp, tokens};

/// Output of a command.
pub struct Printed {
    pub text: String,
    pub error: String,
    pub code: i32,
}

impl Printed {
    /// The values of a command that printed JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}", self.error);
        self.text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The one value of a command that printed JSON.
    #[track_caller]
    pub fn value(&self) -> Value {
        let mut values = self.json();
        assert_eq!(values.len(), 1, "{}", self.text);
        values.remove(0)
    }
}

impl TestApp {
    /// Runs `frontdesk ARGS`, with `input` on its standard input.
    pub fn operate(&self, args: &[&str], input: &str) -> Printed {
        self.operate_with(args, input, &[])
    }

    /// The same, with more in the environment.
    pub fn operate_with(&self, args: &[&str], input: &str, env: &[(&str, &str)]) -> Printed {
        operate_on(&self.database().url(), args, input, env)
    }
}

/// Runs `frontdesk ARGS` on a database, with `input` on its standard input, and more in the environment.
pub fn operate_on(database: &str, args: &[&str], input: &str, env: &[(&str, &str)]) -> Printed {
    let settings = process_settings(database, &[]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_frontdesk"));
    command.args(args).envs(environment(&settings)).envs(env.iter().copied());
    command.current_dir(std::env::temp_dir());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("the program starts");
    let mut stdin = running.stdin.take().expect("its input is piped");
    // A command that reads none may have ended.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = running.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    let (text, error) = (text(output.stdout), text(output.stderr));
    assert!(!text.contains(tokens::SECRET) && !error.contains(tokens::SECRET));
    Printed { text, error, code: output.status.code().expect("it ends by itself") }
}
