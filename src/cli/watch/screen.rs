//! The roster as a terminal shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use unicode_width::UnicodeWidthChar;

use super::follow::News;
use super::roster::{Roster, Seen};
use super::terminal::Size;

/// The first place of the screen.
const HOME: &str = "\x1b[H";
/// Whatever was in the rest of the line, and below.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const PLAIN: &str = "\x1b[0m";

/// How text looks, where there are colours.
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const NORMAL: &str = "";

/// What stands for what was cut off.
const CUT: char = '…';

/// The longest name that pushes what is behind it, in columns.
const MAX_NAME: usize = 24;

/// All that is shown.
pub(super) struct Screen {
    title: String,
    is_coloured: bool,
    roster: Roster,
    status: String,
}

impl Screen {
    pub(super) fn new(title: String, is_coloured: bool) -> Self {
        Self {
            title,
            is_coloured,
            roster: Roster::default(),
            status: "connecting".to_owned(),
        }
    }

    /// Takes what happened.
    pub(super) fn tell(&mut self, news: News) {
        match news {
            News::Names(names) => self.roster.name(names),
            News::Connected(via) => self.status = format!("connected by {via}"),
            News::Everyone(everyone) => drop(self.roster.replace(everyone)),
            News::One(seen) => drop(self.roster.apply(seen)),
            News::Lost { why, again } => {
                self.status = format!("{why}; trying again in {} s", again.as_secs());
            }
            News::Refused(why) => self.status = why,
        }
    }

    /// The whole screen.
    pub(super) fn draw(&self, size: Size) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.as_ref().map_or(0, Duration::as_secs);
        let lines = self.lines(size, now);
        let drawn: Vec<String> = lines
            .into_iter()
            .map(|line| line.text + CLEAR_LINE)
            .collect();
        format!("{HOME}{}{CLEAR_BELOW}", drawn.join("\r\n"))
    }

    /// At most as many lines as there are rows. `now` is in seconds since 1970.
    fn lines(&self, size: Size, now: u64) -> Vec<Line> {
        let all = self.roster.len();
        let count = match all {
            1 => "1 user".to_owned(),
            count => format!("{count} users"),
        };
        let mut lines = vec![
            self.line(size)
                .with(BOLD, &self.title)
                .with(NORMAL, "  ")
                .with(DIM, &count),
            self.line(size),
        ];
        // Title and status, with an empty line beside each; in a low terminal there is not even that.
        let room = size.rows.saturating_sub(4).max(1);
        let shown = match all > room {
            true => room.saturating_sub(1),
            false => all,
        };
        let first = self.roster.first(shown);
        let named = first.iter().map(|(name, _)| width(name));
        let name_width = named.max().unwrap_or(0).min(MAX_NAME);
        for (name, seen) in &first {
            lines.push(self.row(size, name, name_width, seen, now));
        }
        if shown < all {
            let more = format!("  and {} more", all - shown);
            lines.push(self.line(size).with(DIM, &more));
        }
        lines.push(self.line(size));
        lines.push(
            self.line(size)
                .with(DIM, &format!("{}; Ctrl-C ends", self.status)),
        );
        let surplus = lines.len().saturating_sub(size.rows);
        lines.truncate(lines.len() - surplus);
        lines
    }

    fn row(&self, size: Size, name: &str, name_width: usize, seen: &Seen, now: u64) -> Line {
        let style = match &*seen.state {
            "PLAYING" => GREEN,
            "BUSY" => RED,
            "ONLINE" => CYAN,
            _ => NORMAL,
        };
        let pad = " ".repeat(name_width.saturating_sub(width(name)));
        let what = match seen.game_id {
            Some(id) => format!("{} {id}", seen.state),
            None => seen.state.clone(),
        };
        let line = self
            .line(size)
            .with(style, "● ")
            .with(BOLD, name)
            .with(NORMAL, &format!("{pad}  "))
            .with(style, &format!("{what:<15}"));
        let line = match seen.since {
            Some(since) => line.with(
                DIM,
                &format!("  {:>8}", span(now.saturating_sub(since / 1000))),
            ),
            None => line,
        };
        match &seen.details {
            Some(details) => line.with(NORMAL, &format!("  {details}")),
            None => line,
        }
    }

    fn line(&self, size: Size) -> Line {
        Line {
            text: String::new(),
            room: size.columns,
            is_coloured: self.is_coloured,
        }
    }
}

/// One line, and how many columns of it are free.
struct Line {
    text: String,
    room: usize,
    is_coloured: bool,
}

impl Line {
    /// The same with `text` behind it, or as much as there is room for.
    fn with(mut self, style: &str, text: &str) -> Self {
        if self.room == 0 || text.is_empty() {
            return self;
        }
        let is_styled = self.is_coloured && !style.is_empty();
        if is_styled {
            self.text.push_str(style);
        }
        let (fitting, used) = fit(text, self.room);
        self.text.push_str(&fitting);
        self.room = match fitting.ends_with(CUT) {
            true => 0,
            false => self.room - used,
        };
        if is_styled {
            self.text.push_str(PLAIN);
        }
        self
    }
}

/// As much of `text` as fits into `room` columns, and how many it needs. What is cut ends in an ellipsis.
fn fit(text: &str, room: usize) -> (String, usize) {
    let whole = width(text);
    if whole <= room {
        return (text.to_owned(), whole);
    }
    let written = text.trim_end();
    if width(written) <= room {
        let pad = " ".repeat(room - width(written));
        return (format!("{written}{pad}"), room);
    }
    let mut fitting = String::new();
    let mut used = 1; // the ellipsis
    for letter in text.chars() {
        used += columns(letter);
        if used > room {
            break;
        }
        fitting.push(letter);
    }
    fitting.push(CUT);
    (fitting, room)
}

/// How many columns a terminal gives to a text. Letter by letter, as most terminals do it.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

fn columns(letter: char) -> usize {
    letter.width().unwrap_or(0)
}

/// `45 s`, `12 min`, `3 h`, `2 d`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(activity: &serde_json::Value) -> Seen {
        Seen::read(&activity.to_string())
            .unwrap_or_else(|| unreachable!("{activity} is an activity"))
    }

    fn screen(is_coloured: bool) -> Screen {
        let mut screen = Screen::new("http://localhost:8080".to_owned(), is_coloured);
        let names = [(1, "alice"), (2, "ボブさん"), (3, "carol👩‍🚀")];
        let names = names.map(|(id, name)| (id, name.to_owned()));
        screen.tell(News::Names(names.to_vec()));
        let everyone = json!([
            {"user_id": 1, "state": "PLAYING", "game_id": 42, "since": 1000, "details": "The last level"},
            {"user_id": 2, "state": "BUSY", "since": 1000},
            {"user_id": 3, "state": "ONLINE"},
            {"user_id": 4, "state": "ONLINE"},
        ]);
        let everyone = everyone.as_array().into_iter().flatten();
        screen.tell(News::Everyone(everyone.map(seen).collect()));
        screen
    }

    fn shown(screen: &Screen, columns: usize, rows: usize) -> Vec<String> {
        let lines = screen.lines(Size { columns, rows }, 181);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_wide_terminal_shows_all_in_columns() {
        let expected = [
            "http://localhost:8080  4 users",
            "",
            "● alice      PLAYING 42          3 min  The last level",
            "● ボブさん   BUSY                3 min",
            "● carol👩‍🚀  ONLINE         ",
            "● user 4     ONLINE         ",
            "",
            "connecting; Ctrl-C ends",
        ];
        assert_eq!(shown(&screen(false), 80, 24), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_too_many() {
        let screen = screen(false);
        for columns in 1..80 {
            for rows in 1..12 {
                let lines = shown(&screen, columns, rows);
                assert!(lines.len() <= rows, "{columns} x {rows}: {lines:?}");
                for line in &lines {
                    assert!(width(line) <= columns, "{columns} x {rows}: {line:?}");
                }
            }
        }
        let expected = [
            "● alice     PLAYING…",
            "● ボブさん  BUSY    ",
            "  and 2 more",
            "",
            "connecting; Ctrl-C …",
        ];
        assert_eq!(
            shown(&screen, 20, 7).get(2..),
            Some(&expected.map(str::to_owned)[..])
        );
    }

    #[test]
    fn the_page_shows_it_as_it_is() {
        let mut screen = Screen::new("http://localhost:8080".to_owned(), false);
        let names = [(1, "alice"), (2, "bob"), (3, "carol")];
        let names = names.map(|(id, name)| (id, name.to_owned()));
        screen.tell(News::Names(names.to_vec()));
        screen.tell(News::Connected(crate::client::Via::WebSocket));
        for activity in [
            json!({"user_id": 1, "state": "PLAYING", "game_id": 42, "since": 10_080_000, "details": "The last level"}),
            json!({"user_id": 2, "state": "BUSY", "since": 0}),
            json!({"user_id": 3, "state": "ONLINE", "since": 10_760_000}),
        ] {
            screen.tell(News::One(seen(&activity)));
        }
        let size = Size {
            columns: 80,
            rows: 24,
        };
        let lines = screen.lines(size, 10_800);
        let drawn: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        let page = include_str!("../../../docs/command-line.md");
        let drawn = format!("```\n{}\n```\n", drawn.join("\n"));
        assert!(page.contains(&drawn), "the page needs this:\n{drawn}");
    }

    #[test]
    fn a_wide_letter_is_never_cut_in_two() {
        assert_eq!(fit("ボブさん", 8), ("ボブさん".to_owned(), 8));
        assert_eq!(fit("ボブさん", 7), ("ボブさ…".to_owned(), 7));
        assert_eq!(fit("ボブさん", 6), ("ボブ…".to_owned(), 6));
        assert_eq!(fit("ボブさん", 1), ("…".to_owned(), 1));
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = shown(&screen(true), 80, 24).join("\n");
        assert!(coloured.contains("\x1b[32mPLAYING 42"), "{coloured}");
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, styled)) = rest.split_once("\x1b[") {
            plain.push_str(before);
            rest = styled.split_once('m').map_or("", |(_, behind)| behind);
        }
        plain.push_str(rest);
        assert_eq!(plain, shown(&screen(false), 80, 24).join("\n"));
    }

    #[test]
    fn spans_of_time() {
        let spans = [0, 59, 60, 3599, 3600, 86_399, 86_400].map(span);
        assert_eq!(
            spans,
            ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d"]
        );
    }
}
