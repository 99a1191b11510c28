/* manual.c - chord-manual FOLDER: manual pages, and completions for bash, zsh and fish, from the tables that --help is made of. */
#include "commands.h"
#include "server/serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The commands that have a table: those of the program, and `chord serve`, which is another one. */
static size_t command_count(void) { return cli_command_count + 1; }
static const cli_command *command_at(size_t i) { return i < cli_command_count ? cli_commands[i] : &cli_serve; }
static bool has_table(const cli_program *program) { return strcmp(program->name, cli_serve.name) == 0; }

static FILE *open_page(const char *folder, const char *kind, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, kind);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, kind, name);
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        exit(1);
    }
    return out;
}

static void close_page(FILE *out)
{
    if (fclose(out) == 0) return;
    perror("chord-manual");
    exit(1);
}

/* ---- manual pages ---------------------------------------------------------------------------- */

/* What troff would take for its own: backslashes, hyphens (it makes dashes of them), and the first letter of a line. */
static void put_roff(FILE *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\'')) fputs("\\&", out);
        if (*c == '\\') fputs("\\e", out);
        else if (*c == '-') fputs("\\-", out);
        else fputc(*c, out);
    }
}

static void put_title(FILE *out, const char *name, const char *summary)
{
    fprintf(out, ".TH \"%s\" 1 \"\" \"chord %s\"\n.SH NAME\n", name, CHORD_VERSION);
    put_roff(out, name);
    fputs(" \\- ", out);
    put_roff(out, summary);
    fputc('\n', out);
}

static void put_option(FILE *out, const cli_option *o)
{
    char aliases[128];
    fputs(".TP\n", out);
    snprintf(aliases, sizeof aliases, "%s", o->aliases != NULL ? o->aliases : "");
    for (char *alias = strtok(aliases, " "); alias != NULL; alias = strtok(NULL, " ")) {
        fputs("\\fB", out);
        put_roff(out, alias);
        fputs("\\fR, ", out);
    }
    fputs("\\fB", out);
    put_roff(out, o->name);
    fputs("\\fR", out);
    if (o->value != NULL) {
        fputs(" \\fI", out);
        put_roff(out, o->value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put_roff(out, o->help);
    fputc('\n', out);
}

static void put_command_page(const char *folder, const cli_command *c)
{
    char name[64];
    snprintf(name, sizeof name, "chord-%s", c->name);
    char file[80];
    snprintf(file, sizeof file, "%s.1", name);
    FILE *out = open_page(folder, "man", file);
    put_title(out, name, c->summary);
    fprintf(out, ".SH SYNOPSIS\n.B chord %s\n", c->name);
    put_roff(out, c->usage);
    fputs("\n.SH DESCRIPTION\n", out);
    put_roff(out, c->text);
    fputs("\n.SH OPTIONS\n", out);
    for (size_t i = 0; i < c->option_count; i++) put_option(out, &c->options[i]);
    fputs(".SH EXAMPLES\n.nf\n", out);
    put_roff(out, c->examples);
    fputs(
        ".fi\n.SH EXIT STATUS\n0: done; 1: it could not be done, and a sentence on stderr says why; 2: the command line is wrong; 130: interrupted.\n",
        out);
    fputs(".SH SEE ALSO\n.BR chord (1)\n", out);
    close_page(out);
}

static void put_main_page(const char *folder)
{
    FILE *out = open_page(folder, "man", "chord.1");
    put_title(out, "chord", "run GGUF language models that need not fit in memory");
    fputs(".SH SYNOPSIS\n.B chord\n.I command ...\n.SH COMMANDS\n", out);
    for (size_t i = 0; i < command_count(); i++) {
        fprintf(out, ".TP\n.BR chord\\-%s (1)\n", command_at(i)->name);
        put_roff(out, command_at(i)->summary);
        fputc('\n', out);
    }
    for (size_t i = 0; i < cli_program_count; i++) {
        if (has_table(&cli_programs[i])) continue;
        fprintf(out, ".TP\n.B %s\n", cli_programs[i].name);
        put_roff(out, cli_programs[i].summary);
        fputc('\n', out);
    }
    fputs(".SH EXAMPLES\n.nf\n", out);
    put_roff(out, cli_examples);
    fputs(".fi\n", out);
    close_page(out);
}

/* ---- completions ------------------------------------------------------------------------------- */

static void put_command_names(FILE *out)
{
    for (size_t i = 0; i < command_count(); i++) fprintf(out, "%s ", command_at(i)->name);
    for (size_t i = 0; i < cli_program_count; i++)
        if (!has_table(&cli_programs[i])) fprintf(out, "%s ", cli_programs[i].name);
    fputs("help version", out);
}

/* The words of "auto|mapped|paged", spaces between. */
static void put_choices(FILE *out, const char *value)
{
    for (; *value != '\0'; value++) fputc(*value == '|' ? ' ' : *value, out);
}

static void put_bash(const char *folder)
{
    FILE *out = open_page(folder, "bash", "chord");
    fputs(
        "# bash completion for chord\n_chord() {\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W \"",
        out);
    put_command_names(out);
    fputs("\" -- \"$word\"))\n        return\n    fi\n    local options=\n    case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < command_count(); i++) {
        const cli_command *c = command_at(i);
        fprintf(out, "    %s)\n        options=\"", c->name);
        for (size_t o = 0; o < c->option_count; o++) fprintf(out, "%s ", c->options[o].name);
        fputs("--help\"\n        case $before in\n", out);
        for (size_t o = 0; o < c->option_count; o++) {
            if (c->options[o].kind != CLI_CHOICE) continue;
            fprintf(out, "        %s) COMPREPLY=($(compgen -W \"", c->options[o].name);
            put_choices(out, c->options[o].value);
            fputs("\" -- \"$word\")); return ;;\n", out);
        }
        fputs("        esac ;;\n", out);
    }
    fputs("    esac\n    case $word in\n    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
          "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac\n}\ncomplete -o filenames -F _chord chord\n",
          out);
    close_page(out);
}

/* Inside single quotes of a shell; zsh takes brackets and colons for its own. */
static void put_quoted(FILE *out, const char *text, bool zsh)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') fputs("'\\''", out);
        else if (zsh && strchr("[]:\\", *text) != NULL) fprintf(out, "\\%c", *text);
        else if (!zsh && *text == '\\') fputs("\\\\", out);
        else fputc(*text, out);
    }
}

static void put_zsh_option(FILE *out, const cli_option *o)
{
    fprintf(out, "        '%s%s[", o->kind == CLI_TEXTS ? "*" : "", o->name);
    put_quoted(out, o->help, true);
    fputc(']', out);
    if (o->kind == CLI_CHOICE) {
        fputs(":choice:(", out);
        put_choices(out, o->value);
        fputc(')', out);
    } else if (o->kind != CLI_FLAG) {
        fputc(':', out);
        put_quoted(out, o->value, true);
        fputs(o->kind == CLI_TEXT ? ":_files" : ":", out);
    }
    fputs("' \\\n", out);
}

static void put_zsh(const char *folder)
{
    FILE *out = open_page(folder, "zsh", "_chord");
    fputs("#compdef chord\nif (( CURRENT == 2 )); then\n    local -a commands=(\n", out);
    for (size_t i = 0; i < command_count(); i++) {
        fprintf(out, "        '%s:", command_at(i)->name);
        put_quoted(out, command_at(i)->summary, true);
        fputs("'\n", out);
    }
    for (size_t i = 0; i < cli_program_count; i++) {
        if (has_table(&cli_programs[i])) continue;
        fprintf(out, "        '%s:", cli_programs[i].name);
        put_quoted(out, cli_programs[i].summary, true);
        fputs("'\n", out);
    }
    fputs(
        "    )\n    _describe command commands\n    return\nfi\nlocal command=$words[2]\nshift words\n(( CURRENT-- ))\n"
        "case $command in\n",
        out);
    for (size_t i = 0; i < command_count(); i++) {
        const cli_command *c = command_at(i);
        fprintf(out, "%s)\n    _arguments \\\n", c->name);
        for (size_t o = 0; o < c->option_count; o++) put_zsh_option(out, &c->options[o]);
        fputs("        '*:file:_files' ;;\n", out);
    }
    fputs("esac\n", out);
    close_page(out);
}

static void put_fish(const char *folder)
{
    FILE *out = open_page(folder, "fish", "chord.fish");
    fputs("# fish completion for chord\n", out);
    for (size_t i = 0; i < command_count(); i++) {
        const cli_command *c = command_at(i);
        fprintf(out, "complete -c chord -n __fish_use_subcommand -f -a %s -d '", c->name);
        put_quoted(out, c->summary, false);
        fputs("'\n", out);
        for (size_t o = 0; o < c->option_count; o++) {
            const cli_option *option = &c->options[o];
            fprintf(out, "complete -c chord -n '__fish_seen_subcommand_from %s' -l %s%s -d '", c->name,
                    option->name + 2, option->kind == CLI_FLAG ? "" : " -r");
            put_quoted(out, option->help, false);
            fputs("'", out);
            if (option->kind == CLI_CHOICE) {
                fputs(" -f -a '", out);
                put_choices(out, option->value);
                fputc('\'', out);
            }
            fputc('\n', out);
        }
    }
    close_page(out);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: chord-manual FOLDER\n");
        return 2;
    }
    mkdir(argv[1], 0777);
    put_main_page(argv[1]);
    for (size_t i = 0; i < command_count(); i++) put_command_page(argv[1], command_at(i));
    put_bash(argv[1]);
    put_zsh(argv[1]);
    put_fish(argv[1]);
    return 0;
}
