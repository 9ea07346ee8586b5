//! From SVG to PNG, with a font of our own: a machine without fonts would otherwise leave out all text without an error.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Family name of the font in the binary.
pub(super) const FAMILY: &str = "DejaVu Sans";
/// Pixels per unit, so that charts are sharp on dense screens.
const SCALE: f32 = 2.0;
/// Largest picture, in pixels each way.
const PIXELS_MAX: u32 = 4096;

/// Letters of Latin languages, digits and punctuation; see `font/LICENSE`.
static FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// Draws an SVG as PNG at twice its size; files and addresses in it are not followed.
pub fn png(svg: &str) -> Result<Vec<u8>, String> {
    with_fonts(svg, FONTS.clone())
}

pub(super) fn with_fonts(svg: &str, fonts: Arc<fontdb::Database>) -> Result<Vec<u8>, String> {
    let mut options = Options { font_family: FAMILY.to_owned(), fontdb: fonts, ..Options::default() };
    options.image_href_resolver.resolve_string = Box::new(|_, _| None);
    let tree = Tree::from_str(svg, &options).map_err(|e| format!("a chart is not valid SVG: {e}"))?;
    let size = tree.size().to_int_size();
    let scaled = |side: u32| (f64::from(side) * f64::from(SCALE)) as u32;
    let (width, height) = (scaled(size.width()), scaled(size.height()));
    if width > PIXELS_MAX || height > PIXELS_MAX {
        return Err(format!("a chart of {width}×{height} pixels is too large"));
    }
    let mut pixels = Pixmap::new(width, height).ok_or("a chart without a size")?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| format!("a chart could not be written as PNG: {e}"))
}
