//! Has Cargo build again when a file of the pages is added or removed: they are in the program.

fn main() {
    println!("cargo::rerun-if-changed=web");
}
