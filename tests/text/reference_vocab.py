"""reference_vocab - the reference runtime's vocabularies, by its library."""
import ctypes, pathlib, re


class Reference:
    """libllama with one vocabulary, in this process."""

    def __init__(self, library, path):
        self.lib = lib = ctypes.CDLL(library)

        class Params(ctypes.Structure):
            _fields_ = [("pointers", ctypes.c_void_p * 2), ("numbers", ctypes.c_int32 * 6),
                        ("more", ctypes.c_void_p * 4), ("flags", ctypes.c_bool * 6)]

        self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *a: None)
        lib.llama_log_set(self.quiet, None)
        lib.llama_model_default_params.restype = Params
        lib.llama_model_load_from_file.argtypes = [ctypes.c_char_p, Params]
        lib.llama_model_load_from_file.restype = ctypes.c_void_p
        lib.llama_model_get_vocab.argtypes = [ctypes.c_void_p]
        lib.llama_model_get_vocab.restype = ctypes.c_void_p
        params = lib.llama_model_default_params()
        params.flags[0] = True  # vocab_only
        model = lib.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ValueError("not loaded")
        self.vocab = ctypes.c_void_p(lib.llama_model_get_vocab(model))
        self.count = lib.llama_vocab_n_tokens(self.vocab)
        self.bos = lib.llama_vocab_bos(self.vocab)

    def encode(self, text, special):
        cap = 8 * len(text) + 64
        ids = (ctypes.c_int32 * cap)()
        n = self.lib.llama_tokenize(self.vocab, text, len(text), ids, cap, special, special)
        assert n >= 0
        return list(ids[:n])

    def decode(self, token, special):
        room = ctypes.create_string_buffer(1 << 16)
        n = self.lib.llama_token_to_piece(self.vocab, token, room, len(room), 0, special)
        return room.raw[:n] if n >= 0 else None

    def ends(self, token):
        self.lib.llama_vocab_is_eog.restype = ctypes.c_bool
        return self.lib.llama_vocab_is_eog(self.vocab, token)


def names_of_pres(sources):
    text = pathlib.Path(sources, "src/llama-vocab.cpp").read_text(encoding="utf-8")
    return sorted(set(re.findall(r'tokenizer_pre == "([^"]+)"', text)))
