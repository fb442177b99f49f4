/** Without the passwords of connection strings, options and addresses, whatever program printed them. */
export function withoutPasswords(text: string): string {
  return text
    .replace(/(\/\/[^\s:/@]*):\S+@/g, '$1:[redacted]@')
    .replace(/\b(\w*(?:password|secret|token)\w*\s*[=:]\s*)(?:'[^']*'|"[^"]*"|\S+)/gi, '$1[redacted]')
    .replace(/(-pass=|X-Amz-(?:Signature|Credential|Security-Token)=)[^\s&]+/gi, '$1[redacted]');
}
