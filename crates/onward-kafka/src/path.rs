//! Names of files by template.

use onward::Result;

use crate::file::FileFacts;

/// A template of names, as `{topic}/{date}/{partition}-{first_offset}.{ext}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
}

impl PathTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { text: text.to_owned() })
    }

    /// The name of a file: a legal path, which no other file of the topic has.
    pub fn render(&self, facts: &FileFacts<'_>) -> Result<String> {
        Ok(self
            .text
            .replace("{topic}", facts.topic)
            .replace("{partition}", &facts.partition.to_string())
            .replace("{first_offset}", &format!("{:020}", facts.first_offset))
            .replace("{ext}", facts.extension))
    }
}
