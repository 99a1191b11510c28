"""random_texts - texts that touch what tokenizers treat in their own way."""

WORDS = """hello Hello HELLO world don't Don'T it's IT'S we'll WE'LL they've I'm you'd 're camelCase HTTPServer XMLHttp naïve café
Ünïcode Straße ΑΒΓαβγ Привет мир 你好世界 日本語テキスト かな カナ 한국어 ภาษาไทย हिन्दी বাংলা עברית العربية ქართული Հայերեն ﬁne ĳ ŉ ǅ
e\u0301 a\u0308\u0301 ñ \u0301 \u0300x 1 12 123 1234 12345 123456 1234567 3.14 1,000 ²³ ½ ٣٤٥ ⅷ 0x1F 1e-5 <unk> <s> </s> <|endoftext|>
<|im_start|> <mask> [MASK] [CLS] [SEP] <sentinel:12> IMGIMGABCZ 😀 👩‍👩‍👧 🇩🇪 ❤️ ∑ √2 € $5 a_b a-b a/b foo(bar) {x} [y] `code` ~/.x C++ #1 @me
… — “q” ‘q’ 、 。 ， ！ ： ； ﹏ ｡ ｶﾅ ㄅㄆ ㄱㅎ 豈 北 Ⅳ ①  ﷺ \u00ad \u200b \u200d \ufeff \u2028 \u0085 \u1680 ▁ ▁▁ Ġ Ċ İ ı ſ K K
fi ﬃ ａｂｃ １２３ Å Å ª º ǉ ᾳ \U0001F1E6 \U00020000 \U0002F800 \U00010400 \U0001E900 \U000E0001 \ue000 \ufffd""".split(" ")
WORDS = [w for line in WORDS for w in line.split("\n")]
SPACES = [" ", " ", " ", "  ", "   ", "    ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", " \n \n", "\u00a0", "\u3000", "\u2009", "\v", "\f",
          "\x1c", "\x85", "      \n", "\t\t", "        "]
MARKS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "!!", "//", "/\n", "?\n\n", "),\n", "';", "'S", "'ll", "'Re", "|", "||", "、", "。/\r\n"]


def of_words(r):
    out = []
    for _ in range(r.randrange(1, 12)):
        out.append(r.choice(WORDS))
        if r.random() < 0.4:
            out.append(r.choice(MARKS))
        if r.random() < 0.7:
            out.append(r.choice(SPACES))
    return "".join(out)


def of_classes(r):
    """Short strings over few characters: every rule meets every other."""
    alphabet = r.sample(list("aAzZ019 \n\r\t'/.,$`|(") + ["s", "é", "É", "字", "か", "한", "\u0301", "²", "٣", "€", "—", "\u00a0", "\u3000", "\x01", "😀",
                                                            "।", "ㄅ", "！", "\u200d", "豈", "ﬁ", "А"], r.randrange(2, 7))
    return "".join(r.choice(alphabet) for _ in range(r.randrange(1, 30)))


def of_digits(r):
    return "".join(r.choice("0123456789٣²x, .") if r.random() < 0.3 else r.choice("0123456789") for _ in range(r.randrange(1, 25)))


def of_spaces(r):
    n = r.choice([1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 100, 130, 257, 300, 511, 513, 600])
    return r.choice(["", "a"]) + r.choice([" ", "\t", "\u00a0", "\n"]) * n + r.choice(["", "b", "\nb", "1"])


def of_any(r):
    def code():
        while True:
            c = r.randrange(r.choice([0x80, 0x100, 0x800, 0x3000, 0x10000, 0x32000, 0x110000]))
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    return "".join(code() for _ in range(r.randrange(1, 20)))


def of_bytes(r):
    """Much of it is no UTF-8; the reference ends itself over what would be beyond U+10FFFF."""
    return bytes(r.choice([r.randrange(0x80), r.randrange(0x80, 0xF4)]) for _ in range(r.randrange(1, 20)))


def make(r, count):
    makers = [of_words, of_words, of_words, of_classes, of_classes, of_classes, of_digits, of_spaces, of_any, of_bytes]
    texts = [""]
    while len(texts) < count:
        texts.append(makers[len(texts) % len(makers)](r))
    return [t if isinstance(t, bytes) else t.encode("utf-8", "surrogatepass") for t in texts]
