/**
 * What each shell is given: it hands the words up to the cursor to `hopline complete`, and offers what comes back.
 *
 * The first line that comes back says what files of this machine may stand there: files, directories, none. Each other line is a
 * word, and behind a tab what it means. A word that ends with `/`, `:` or `=` goes on.
 * Invariant: no shell expands or runs anything in a word that came back.
 */

const bash = `# bash completion of hopline
_hopline() {
  local line=\${COMP_LINE:0:COMP_POINT} words=() word at=0
  # bash divides words at : and = as well: what no space divides is put together again.
  for ((; at <= COMP_CWORD; at++)); do
    [[ $at == 0 || $line == [[:space:]]* ]] && words+=('')
    line=\${line#"\${line%%[![:space:]]*}"}
    word=\${COMP_WORDS[at]}
    [[ $at == "$COMP_CWORD" ]] && word=$line
    line=\${line#"$word"}
    words[\${#words[@]}-1]+=$word
  done
  local typed=\${words[\${#words[@]}-1]} asked=()
  for word in "\${words[@]:1}"; do asked+=("\${word//[\\\\\\"\\']/}"); done
  local found kind
  mapfile -t found < <(command hopline complete -- "\${asked[@]}" 2>/dev/null </dev/null)
  kind=\${found[0]}
  found=("\${found[@]:1}")
  found=("\${found[@]%%$'\\t'*}")
  local behind=\${typed##*[:=]} path
  if [[ $kind == files || $kind == directories ]]; then
    path=\${typed#--*=}
    local how=-f
    [[ $kind == directories ]] && how=-d
    if ((\${#found[@]} == 0)); then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen "$how" -- "\${COMP_WORDS[COMP_CWORD]#[:=]}")
      return
    fi
    while IFS= read -r word; do
      [[ -d $word ]] && word+=/
      found+=("$word")
    done < <(compgen "$how" -- "$path")
  fi
  ((\${#found[@]} == 1)) && [[ \${found[0]} == *[/:=] ]] && compopt -o nospace 2>/dev/null
  # bash puts what is offered in place of what stands behind the last : or =, and within quotes in place of all.
  local before=\${typed%"$behind"}
  [[ $typed == [\\"\\']* || $COMP_WORDBREAKS != *:* ]] && before=
  local quoted='' open='' escaped
  [[ \${typed//\\\\?/} == *[\\"\\']* ]] && quoted=yes
  [[ $typed == [\\"\\']* && \${typed:1} != *[\\"\\']* ]] && open=yes
  for word in "\${found[@]}"; do
    word=\${word#"$before"}
    printf -v escaped %q "$word"
    # Within quotes no escape is right everywhere: what bash would expand there, or what would end them, is not offered.
    if [[ $open ]]; then
      [[ $word == *[\\\\\\"\\'\\\`\\$!]* ]] && continue
    elif [[ $quoted ]]; then
      [[ $word == "$escaped" ]] || continue
    else
      word=$escaped
    fi
    COMPREPLY+=("$word")
  done
}
complete -F _hopline hopline
`;

const zsh = `#compdef hopline
# zsh completion of hopline
_hopline() {
  local -a found words_on says_on words_end says_end
  found=("\${(@f)$(command hopline complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null </dev/null)}")
  local kind=$found[1] line word says
  shift found
  for line in "\${found[@]}"; do
    [[ -n $line ]] || continue
    word=\${line%%$'\\t'*}
    says=$word
    [[ $line == *$'\\t'* ]] && says="\${(r:30:)word} \${line#*$'\\t'}"
    if [[ $word == *[/:=] ]]; then
      words_on+=("$word") says_on+=("$says")
    else
      words_end+=("$word") says_end+=("$says")
    fi
  done
  local result=1
  (($#words_on)) && compadd -S '' -l -d says_on -a -- words_on && result=0
  (($#words_end)) && compadd -l -d says_end -a -- words_end && result=0
  [[ $PREFIX == --*=* && $kind != none ]] && compset -P '*='
  [[ $kind == files ]] && _files && result=0
  [[ $kind == directories ]] && _files -/ && result=0
  return result
}
if [[ $funcstack[1] == _hopline ]]; then
  _hopline
else
  compdef _hopline hopline
fi
`;

const fish = `# fish completion of hopline
function __hopline_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l found (command hopline complete -- $words[2..] "$typed" 2>/dev/null </dev/null)
    set -l before (string match -r -- '^--[^=]*=' "$typed")
    set -l path (string replace -r -- '^--[^=]*=' '' "$typed")
    switch "$found[1]"
        case files
            printf '%s\\n' "$before"(__fish_complete_path "$path")
        case directories
            printf '%s\\n' "$before"(__fish_complete_directories "$path" '')
    end
    test (count $found) -gt 1; and printf '%s\\n' $found[2..]
end
complete -c hopline -f -a '(__hopline_complete)'
`;

export const scripts = { bash, zsh, fish } as const;
